"""The AWS endpoint: moto's Secrets Manager and DynamoDB on loopback, in a process of their own.

A process of its own keeps moto's state one stack's, its imports off the stack's start, and its work off the
stack's Python lock: `local.moto_server`. It answers every region alike, so that `aws` reaches it whatever its
own is.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from secrets import token_hex
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

from local import ROOT
from local.server import address_of
from local.template import SECRET, TABLE, Deployment, Properties

REGION: Final = "cn-north-1"
"""Where the local stack is: in China's partition, whose names differ, so that a fixed `arn:aws:` shows."""

ACCOUNT_ID: Final = "123456789012"

_START_SECONDS: Final = 60.0
UNSIGNED: Final = "AWS4-HMAC-SHA256 Credential={}/-/-/-/aws4_request"
"""Says who calls, as far as an endpoint that checks no signature wants to know."""

KEY_ID: Final = "LOCAL_AWS_KEY_ID"
"""The variable that tells the endpoint whose calls alone it answers."""

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
            variables[KEY_ID] = credentials.access_key_id
        self._key_id = (credentials or AwsCredentials()).access_key_id
        self.address = address_of(listener)
        self.dynamodb = dynamodb or self.address
        with listener:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, on this module
                [sys.executable, "-m", "local.moto_server", str(listener.fileno())],
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
                "Authorization": f"{UNSIGNED.format(self._key_id)}, SignedHeaders=host, Signature=0",
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
