"""A Secrets Manager on loopback that fails on demand; Lambda's endpoint for credentials under SnapStart."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CREDENTIALS_TOKEN = "the endpoint's own token"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == CREDENTIALS_TOKEN
        self.server.credentials_given += 1  # type: ignore[attr-defined] # SecretsManager, below
        until = datetime.now(UTC) + timedelta(hours=1)
        self._answer(
            200,
            {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t", "Expiration": f"{until:%FT%TZ}"},
        )

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            server.asked.append((self.client_address, self.headers, body))
            failure = server.failures.popleft() if server.failures else None
        if isinstance(failure, bytes):
            self.wfile.write(failure)
            self.close_connection = True
            return
        name = json.loads(body)["SecretId"]
        if failure is not None:
            self._answer(failure, {"__type": "InternalServiceError", "Message": "planted"})
        elif name in server.secrets:
            self._answer(200, {"Name": name, **server.secrets[name]})
        else:
            self._answer(400, {"__type": "ResourceNotFoundException", "Message": "planted"})

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class SecretsManager(ThreadingHTTPServer):
    """Secrets by name; what was asked; how the next requests fail: by status, or with what is written."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.secrets: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[Any, Any, bytes]] = []
        self.failures: deque[int | bytes] = deque()
        self.credentials_given = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def secrets_manager() -> Iterator[SecretsManager]:
    """Run one for as long as the block lasts."""
    with SecretsManager() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)
