import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from local.server import MAX_BODY, PortInUseError, Request, Response, Server, address_of, call_wsgi, listen


def echo(request: Request) -> Response:
    if request.path == "/broken":
        raise RuntimeError("the application's mistake")
    body = b"too long" if request.body is None else request.body
    seen = json.dumps([request.method, request.target, len(request.headers)])
    return Response(413 if request.body is None else 200, (("x-seen", seen),), body)


@pytest.fixture
def port() -> Iterator[int]:
    listener = listen(0)
    server = Server(listener, echo)
    port = listener.getsockname()[1]
    server.start()
    yield port
    server.stop()


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    yield connection
    connection.close()


def send(port: int, text: bytes) -> bytes:
    """Send bytes as they are, then nothing more; give all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: raw.recv(65536), b""))


def exchange(connection: http.client.HTTPConnection, *request: Any, **more: Any) -> tuple[int, bytes]:
    connection.request(*request, **more)
    response = connection.getresponse()
    return response.status, response.read()


def test_a_connection_serves_one_request_after_another(connection: http.client.HTTPConnection) -> None:
    assert exchange(connection, "POST", "/a", b"one") == (200, b"one")
    before = connection.sock
    assert exchange(connection, "POST", "/a", iter([b"tw", b"o"]), encode_chunked=True) == (200, b"two")
    assert exchange(connection, "GET", "/a") == (200, b"")
    assert connection.sock is before


def test_head_is_answered_without_a_body(port: int) -> None:
    answer = send(port, b"HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_body_at_the_limit_is_read_and_one_over_it_is_not(connection: http.client.HTTPConnection) -> None:
    assert exchange(connection, "POST", "/", b"x" * MAX_BODY)[0] == 200
    assert exchange(connection, "POST", "/", b"x" * (MAX_BODY + 1)) == (413, b"too long")


def test_a_chunked_body_over_the_limit_is_not_read(port: int) -> None:
    answer = send(port, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA00001\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_next_request_is_served(port: int, nonsense: bytes) -> None:
    answer = send(port, nonsense)

    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert b"connection: close\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
    assert send(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("cut", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_client_that_hangs_up_does_no_harm(
    port: int, cut: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    send(port, cut)

    assert send(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in capsys.readouterr().err


def test_an_applications_mistake_is_an_internal_server_error(
    connection: http.client.HTTPConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    status, body = exchange(connection, "GET", "/broken")

    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})
    assert "the application's mistake" in capsys.readouterr().err
    assert exchange(connection, "GET", "/")[0] == 200


def test_stopping_ends_connections_that_clients_keep() -> None:
    listener = listen(0)
    server = Server(listener, echo)
    server.start()
    with socket.create_connection(listener.getsockname(), timeout=30) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\n\r\n")
        kept.recv(65536)
        server.stop()
        assert kept.recv(65536) == b""


def test_a_port_in_use_is_named(port: int) -> None:
    with pytest.raises(PortInUseError, match=rf"^port {port} is in use$"):
        listen(port)


def test_an_address_has_the_form_of_an_origin() -> None:
    with listen(0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_wsgi_application_gets_the_request_as_it_came() -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("201 Created", [("X-One", "1"), ("Content-Length", "2")])
        return [b"o", b"k"]

    headers = (("Content-Type", "text/plain"), ("X-Twice", "a"), ("x-twice", "b"), ("X_Spoof", "c"))
    response = call_wsgi(application, Request("PUT", "/a%20b?c=d", headers, b"body"))

    assert response == Response(201, (("X-One", "1"),), b"ok")
    assert seen["body"] == b"body"
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["HTTP_X_TWICE"]) == ("/a b", "c=d", "a,b")
    assert "HTTP_X_SPOOF" not in seen


def test_many_clients_are_served_at_once(port: int) -> None:
    statuses = []

    def ask() -> None:
        statuses.append(send(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")[9:12])

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [b"200"] * 64
