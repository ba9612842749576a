"""The AWS endpoint: moto's Secrets Manager and DynamoDB on loopback, in a process of their own.

A process of its own keeps moto's state one stack's, its imports off the stack's start, and its work off the
stack's Python lock. It answers every region alike, so that `aws` reaches it whatever its own is.
`python -m local.aws FD` is that process: FD is the listening socket, the end of standard input its own end.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from ipaddress import ip_address
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import urlsplit
from uuid import uuid4

from werkzeug import Request, Response

from local import ROOT
from local.server import Server, address_of, message
from local.template import SECRET, TABLE, Deployment, Properties

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

REGION: Final = "cn-north-1"
"""Where the local stack is: in China's partition, whose names differ, so that a fixed `arn:aws:` shows."""

ACCOUNT_ID: Final = "123456789012"

_START_SECONDS: Final = 60.0
_Service = Literal["dynamodb", "secretsmanager"]
_SERVICES: Final[Mapping[str, _Service]] = {
    "DynamoDB_20120810": "dynamodb",
    "secretsmanager": "secretsmanager",
}
_UNSIGNED: Final = "AWS4-HMAC-SHA256 Credential={}/-/-/-/aws4_request"
"""Says who calls, as far as an endpoint that checks no signature wants to know."""

_KEY_ID: Final = "LOCAL_AWS_KEY_ID"

_SCOPE: Final = re.compile(r"(Credential=[^/]*/[^/]*/)[^/]*/")
_TABLE_PROPERTIES: Final = ("AttributeDefinitions", "BillingMode", "KeySchema", "ProvisionedThroughput")


class AwsError(Exception):
    """The endpoint did not start or refused a call; says which."""


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """What boto3 is given; the endpoint looks at the access key's id alone, where it was told one."""

    access_key_id: str = "local"
    secret_access_key: str = "local"  # noqa: S105 - made up
    session_token: str = "local"  # noqa: S105 - made up

    @classmethod
    def unguessable(cls) -> Self:
        """Make credentials that nobody else has: enough against whoever cannot read this user's processes."""
        return cls(access_key_id=token_hex(16))

    def variables(self) -> dict[str, str]:
        """Return boto3's environment variables, with which no profile of the developer's is read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class AwsEndpoint:
    """The endpoint's process, which takes the listener over, and calls to it.

    Parameters
    ----------
    dynamodb
        Address of another DynamoDB, which then gets the calls that are DynamoDB's; None for this endpoint's.
    credentials
        Those that callers must have; None for any.
    """

    def __init__(
        self,
        listener: socket.socket,
        dynamodb: str | None = None,
        credentials: AwsCredentials | None = None,
    ) -> None:
        variables = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        if credentials is not None:
            variables[_KEY_ID] = credentials.access_key_id
        self._key_id = (credentials or AwsCredentials()).access_key_id
        self.address = address_of(listener)
        self.dynamodb = dynamodb or self.address
        with listener:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, on this module
                [sys.executable, "-m", "local.aws", str(listener.fileno())],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=2,
                pass_fds=(listener.fileno(),),
                process_group=0,  # Ctrl-C is the parent's matter
            )

    def stop(self) -> None:
        """End the process at once; what it holds ends with it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def call(self, target: str, **parameters: Any) -> dict[str, Any]:
        """Make one call of AWS's JSON protocol, such as `secretsmanager.CreateSecret`.

        Raises
        ------
        AwsError
            The endpoint is not there, or refuses.
        """
        # http.client, not boto3: importing that would cost the start a third of a second.
        address = self.dynamodb if target.startswith("DynamoDB_") else self.address
        connection = HTTPConnection(urlsplit(address).netloc, timeout=_START_SECONDS)
        try:
            headers = {
                "X-Amz-Target": target,
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"{_UNSIGNED.format(self._key_id)}, SignedHeaders=host, Signature=0",
            }
            connection.request("POST", "/", json.dumps(parameters), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        except (OSError, HTTPException, ValueError) as error:
            raise AwsError(f"the AWS endpoint does not answer {target}: {type(error).__name__}") from error
        finally:
            connection.close()
        if response.status != 200:  # noqa: PLR2004 - AWS's only success
            raise AwsError(f"the AWS endpoint refuses {target}: {answer.get('__type', response.status)}")
        return answer

    def create_secret(self, name: str, text: str) -> str:
        """Store a secret; returns its ARN."""
        created = self.call(
            "secretsmanager.CreateSecret", Name=name, SecretString=text, ClientRequestToken=str(uuid4())
        )
        return str(created["ARN"])

    def create_resources(self, deployment: Deployment) -> None:
        """Create the template's tables and secrets from their own definitions, as CloudFormation does."""
        for logical_id in deployment.resources(TABLE):
            self._create_table(deployment, deployment.properties(logical_id))
        for logical_id in deployment.resources(SECRET):
            properties = deployment.properties(logical_id)
            name = properties.get("Name", f"{deployment.pseudo.stack_name}-{logical_id}")
            generate = properties.require("GenerateSecretString")
            text = self.call("secretsmanager.GetRandomPassword", **generate)["RandomPassword"]
            arn = self.create_secret(name, text)
            deployment.created(logical_id, arn, Id=arn)

    def _create_table(self, deployment: Deployment, properties: Properties) -> None:
        name = properties.get("TableName", f"{deployment.pseudo.stack_name}-{properties.logical_id}")
        given = {key: properties.get(key) for key in _TABLE_PROPERTIES}
        definition = {key: value for key, value in given.items() if value is not None}
        table = self.call("DynamoDB_20120810.CreateTable", TableName=name, **definition)["TableDescription"]
        if life := properties.get("TimeToLiveSpecification"):
            self.call("DynamoDB_20120810.UpdateTimeToLive", TableName=name, TimeToLiveSpecification=life)
        deployment.created(properties.logical_id, name, Arn=table["TableArn"])


class MotoApplication:
    """Moto's applications for the two services, one request at a time.

    Moto checks a write's condition and writes in two steps; under a lock they are one, as in DynamoDB.
    """

    def __init__(self, key_id: str | None = None) -> None:
        # 0.5 s, which the stack's own process does without.
        from moto.moto_server.werkzeug_app import create_backend_app  # noqa: PLC0415

        self._applications = {service: create_backend_app(service) for service in _SERVICES.values()}
        self._lock = threading.Lock()
        self._key_id = key_id

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """Answer one request, in the stack's region whatever the caller signed for."""
        request = Request(environ)
        service = _SERVICES.get(request.headers.get("x-amz-target", "").partition(".")[0])
        if not _is_ours(request.headers.get("host", "")):
            return message(403, "this endpoint is for this machine's own names")(environ, start_response)
        if service is None:
            refusal = _refusal("UnknownOperation", "this endpoint has Secrets Manager and DynamoDB")
            return refusal(environ, start_response)
        signed = request.headers.get("authorization", _UNSIGNED.format("local"))
        if self._key_id is not None and f"Credential={self._key_id}/" not in signed:
            refusal = _refusal(
                "UnrecognizedClientException", "this stack has real keys, for its functions alone"
            )
            return refusal(environ, start_response)
        body = _of_current_version(request.get_data(), request.headers["x-amz-target"])
        environ |= {
            "HTTP_AUTHORIZATION": _SCOPE.sub(rf"\g<1>{REGION}/", signed, count=1),
            "HTTP_USER_AGENT": "",  # in which moto would look for a region, too
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
        }
        with self._lock:
            return [b"".join(self._applications[service](environ, start_response))]


def _refusal(kind: str, text: str) -> Response:
    body = json.dumps({"__type": kind, "message": text})
    return Response(body, 400, content_type="application/x-amz-json-1.1")


def _is_ours(host: str) -> bool:
    """Tell this machine's names from one that a page of the web has had resolved to it (DNS rebinding)."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


def _of_current_version(body: bytes, target: str) -> bytes:
    """Have whoever reads a secret without naming a version get the one with the label AWSCURRENT, as on AWS.

    Moto gives the version that was written last, wherever the label has been moved since.
    """
    if target != "secretsmanager.GetSecretValue":
        return body
    try:
        wanted = json.loads(body)
    except ValueError:  # moto says so
        return body
    if not isinstance(wanted, dict) or {"VersionId", "VersionStage"} & wanted.keys():
        return body
    return json.dumps({**wanted, "VersionStage": "AWSCURRENT"}).encode()


def main() -> None:
    """Serve the inherited socket until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # no page has any business here
    Server(MotoApplication(os.environ.pop(_KEY_ID, None)), socket.socket(fileno=int(sys.argv[1])))
    while True:
        time.sleep(3600)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    main()
