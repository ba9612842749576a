"""AWS and the platform on loopback, quick and without judgement: what is measured is the functions' own time.

Every conditional write succeeds; of what is stored only the sets of attempts are kept, for they are answered.
"""

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


class Loopback(ThreadingHTTPServer):
    """Answers by target, from the start on and until it is closed.

    Parameters
    ----------
    secrets
        Texts of the secrets by name.
    """

    daemon_threads = True

    def __init__(self, secrets: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._secrets = secrets
        self._attempts: dict[str, dict[str, None]] = {}
        self._calls: list[tuple[str, Any]] = []
        self._lock = Lock()
        Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, target: str, message: Any) -> Any:
        """Answer a call of AWS's JSON protocol, or without a target a request to the platform."""
        if not target:
            header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
            body = {"taskId": "1", "resultDesc": "是本机号码"}
            return {"header": {**header, "resultCode": "000"}, "body": body}
        with self._lock:
            if target == "calls":  # of AWS, since somebody last asked
                calls, self._calls = self._calls, []
                return calls
            self._calls.append((target, message))
            if target == "secretsmanager.GetSecretValue":
                name = message["SecretId"]
                return {"ARN": name, "Name": name, "SecretString": self._secrets[name]}
            if message.get("ReturnValues") != "ALL_NEW":
                return {}
            key = message["Key"]["id"]["S"]
            attempts = self._attempts.setdefault(key, {})
            attempts.update(dict.fromkeys(message["ExpressionAttributeValues"][":attempt"]["SS"]))
            return {"Attributes": {"id": {"S": key}, "attempts": {"SS": list(attempts)}}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Loopback

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(self.server.answer(self.headers.get("X-Amz-Target", ""), message)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
