"""A Secrets Manager on loopback that fails on demand; Lambda's endpoint for credentials under SnapStart."""

import json
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug import Request, Response
from werkzeug.datastructures import Headers

from local.server import Server

CREDENTIALS_TOKEN = "the endpoint's own token"


class SecretsManager(Server):
    """Secrets by name; what was asked; how the next requests fail: by status, or with what is written."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[Headers, bytes]] = []
        self.failures: deque[int | bytes] = deque()
        self.credentials_given = 0
        super().__init__(Request.application(self._answer))

    def _answer(self, request: Request) -> Response:
        if request.method == "GET":
            assert request.headers["Authorization"] == CREDENTIALS_TOKEN
            self.credentials_given += 1
            until = datetime.now(UTC) + timedelta(hours=1)
            made = {
                "AccessKeyId": "ASIA",
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": f"{until:%FT%TZ}",
            }
            return Response(json.dumps(made))
        self.asked.append((Headers(request.headers), request.get_data()))
        failure = self.failures.popleft() if self.failures else None
        if isinstance(failure, bytes):
            request.environ["werkzeug.socket"].sendall(failure)
            raise ConnectionError
        name = json.loads(request.get_data())["SecretId"]
        status, content = 200, {"Name": name, **self.secrets.get(name, {})}
        if failure is not None or name not in self.secrets:
            kind = "InternalServiceError" if failure else "ResourceNotFoundException"
            status, content = failure or 400, {"__type": kind, "Message": "planted"}
        return Response(json.dumps(content), status, content_type="application/x-amz-json-1.1")
