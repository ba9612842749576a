"""`python -m local.moto_server FD`: moto on an inherited socket, until standard input ends.

A module of its own, as moto's imports take half a second, which the stack's own process does without.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug import Request, Response

from local.aws import ACCOUNT_ID, KEY_ID, REGION, UNSIGNED
from local.server import Server, message

_SERVICES: Final[Mapping[str, Literal["dynamodb", "secretsmanager"]]] = {
    "DynamoDB_20120810": "dynamodb",
    "secretsmanager": "secretsmanager",
}
_SCOPE: Final = re.compile(r"(Credential=[^/]*/[^/]*/)[^/]*/")


class MotoApplication:
    """Moto's applications for the two services, one request at a time.

    Moto checks a write's condition and writes in two steps; under a lock they are one, as in DynamoDB.
    """

    def __init__(self, key_id: str | None = None) -> None:
        self._applications = {service: create_backend_app(service) for service in _SERVICES.values()}
        self._lock = threading.Lock()
        self._key_id = key_id

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, in the stack's region whatever the caller signed for."""
        request = Request(environ)
        service = _SERVICES.get(request.headers.get("x-amz-target", "").partition(".")[0])
        if not _is_ours(request.headers.get("host", "")):
            return message(403, "this endpoint is for this machine's own names")(environ, start_response)
        if service is None:
            refusal = _refusal("UnknownOperation", "this endpoint has Secrets Manager and DynamoDB")
            return refusal(environ, start_response)
        signed = request.headers.get("authorization", UNSIGNED.format("local"))
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
    Server(MotoApplication(os.environ.pop(KEY_ID, None)), socket.socket(fileno=int(sys.argv[1])))
    while True:
        time.sleep(3600)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    main()
