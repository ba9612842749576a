"""AWS and the platform on loopback, quick and without judgement: `benchmarks.loopback FD FD KEYS PEM`.

The first socket speaks plain HTTP, the second TLS with the certificate in the file PEM.

It answers in a fraction of a millisecond, so that what is measured against it is the functions' own time.
Every conditional write succeeds; of what is stored only the sets of attempts are kept, for they are answered.
"""

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

Answer = Callable[[Any], Any]


class Loopback:
    """Answers by target.

    Parameters
    ----------
    secrets
        Texts of the secrets by name.
    """

    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = secrets
        self._attempts: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()
        self.calls: list[tuple[str, Any]] = []

    def answer(self, target: str, message: Any) -> Any:
        """Answer a call of AWS's JSON protocol, or without a target a request to the platform."""
        if not target:
            header = {name: message["header"][name] for name in ("msgId", "timestamp", "appId")}
            return {
                "header": {**header, "resultCode": "000"},
                "body": {"taskId": "1", "resultDesc": "是本机号码"},
            }
        if target == "calls":
            with self._lock:
                calls, self.calls = self.calls, []
            return calls
        with self._lock:
            self.calls.append((target, message))
        return self._aws(target.partition(".")[2], message)

    def _aws(self, operation: str, message: Any) -> Any:
        if operation == "GetSecretValue":
            name = message["SecretId"]
            return {"ARN": name, "Name": name, "SecretString": self._secrets[name]}
        if message.get("ReturnValues") == "ALL_NEW":
            key = message["Key"]["id"]["S"]
            with self._lock:
                attempts = self._attempts.setdefault(key, {})
                attempts.update(dict.fromkeys(message["ExpressionAttributeValues"][":attempt"]["SS"]))
                return {"Attributes": {"id": {"S": key}, "attempts": {"SS": list(attempts)}}}
        return {}


def serve(listener: socket.socket, loopback: Loopback, tls: ssl.SSLContext | None = None) -> None:
    """Answer connections for ever."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(connection, loopback, tls), daemon=True).start()


def _converse(connection: socket.socket, loopback: Loopback, tls: ssl.SSLContext | None) -> None:
    if tls is not None:
        connection = tls.wrap_socket(connection, server_side=True)
    with connection, connection.makefile("rb") as lines:
        while lines.readline():
            target, body = _read(lines)
            answer = json.dumps(loopback.answer(target, json.loads(body))).encode()
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            connection.sendall(head.encode() + answer)


def _read(lines: BinaryIO) -> tuple[str, bytes]:
    target, size = "", 0
    while (line := lines.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            size = int(value)
        elif name.lower() == "x-amz-target":
            target = value.strip()
    return target, lines.read(size)


def end_with_parent() -> None:
    """End this process when its standard input does."""
    sys.stdin.buffer.read()
    sys.exit(0)


if __name__ == "__main__":
    *sockets, keys, certificate = sys.argv[1:]
    loopback = Loopback(json.loads(Path(keys).read_text(encoding="utf-8")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for descriptor, tls in zip(sockets, (None, context), strict=True):
        arguments = (socket.socket(fileno=int(descriptor)), loopback, tls)
        threading.Thread(target=serve, args=arguments, daemon=True).start()
    end_with_parent()
