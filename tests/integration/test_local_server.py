"""The one server over real sockets: kept connections, resets, drips, a prompt end, and what is not HTTP."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from werkzeug import Request, Response

from local.server import Server
from local.simulator import Customer, Simulator

VERIFY = "/NumberAbility/h5/verifyVmMobileApi.htm"
PROMPT = 2.0  # seconds; far below the pauses that are armed here


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(Customer("000001", "key", "", frozenset(), frozenset()), key_bits=1024)


@pytest.fixture
def server(simulator: Simulator) -> Iterator[Server]:
    simulator.journal.clear()

    @Request.application
    def answer(request: Request) -> Response:
        if request.path == "/broken":
            raise RuntimeError("the application's mistake")
        return Response(request.get_data())

    def application(environ: Any, start_response: Any) -> Any:
        chosen = simulator if environ["PATH_INFO"].startswith("/NumberAbility") else answer
        return chosen(environ, start_response)

    with Server(application) as running:
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connected:
        yield connected


def send(
    connection: http.client.HTTPConnection, fault: str | None = None, body: str = "{}", method: str = "POST"
) -> http.client.HTTPResponse:
    headers = {"Content-Type": "application/json"}
    if fault:
        headers["X-Simulator-Fault"] = fault
    connection.request(method, VERIFY, body, headers)
    return connection.getresponse()


def code(response: http.client.HTTPResponse) -> str:
    return str(json.loads(response.read())["header"]["resultCode"])


def raw(server: Server, fault: str) -> socket.socket:
    """Send a request by hand and leave its answer to the caller."""
    sock = socket.create_connection((server.host, server.port), timeout=10)
    sock.sendall(
        f"POST {VERIFY} HTTP/1.1\r\nHost: platform\r\nContent-Type: application/json\r\n"
        f"X-Simulator-Fault: {fault}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    return sock


def exchange(server: Server, text: bytes) -> bytes:
    """Send bytes as they are, then nothing more; return all that comes back."""
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_connection_is_kept_and_a_body_that_nobody_wants_does_no_harm_and_nothing_is_printed(
    connection: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    assert code(send(connection)) == "130010"
    kept = connection.sock
    assert code(send(connection)) == "130010"
    assert connection.sock is kept

    send(connection, method="PUT", body="x" * 100).read()
    assert code(send(connection)) == "130010"
    assert send(connection, body=" " * 1_000_000).status == 413
    assert capfd.readouterr() == ("", "")


def test_a_chunked_request_is_read_and_head_has_no_body(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/", iter([b"tw", b"o"]), encode_chunked=True)
    assert connection.getresponse().read() == b"two"
    connection.request("HEAD", "/", b"abc")
    response = connection.getresponse()
    assert (response.headers["content-length"], response.read()) == ("3", b"")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % VERIFY.encode(),
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_not_http_is_refused_without_harm_to_the_next_request(
    server: Server, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = exchange(server, nonsense)

    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert b"nonsense" not in answer
    assert exchange(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert capfd.readouterr() == ("", "")


def test_an_applications_mistake_is_an_internal_server_error(
    connection: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    connection.request("GET", "/broken")

    response = connection.getresponse()

    assert (response.status, json.loads(response.read())) == (500, {"message": "Internal Server Error"})
    assert "the application's mistake" in capfd.readouterr().err


def test_an_answer_can_come_after_another_and_in_chunks_of_no_size(server: Server) -> None:
    with raw(server, "interim") as sock:
        heard = sock.recv(1000)
        while b'"130010"' not in heard:
            heard += sock.recv(1000)
    assert heard.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in heard
    with raw(server, "chunkSize;size=-1") as sock:
        head, _, body = b"".join(iter(lambda: sock.recv(1000), b"")).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body.startswith(b"-1\r\n{")


@pytest.mark.parametrize("fault", ["delay", "drip"])
def test_closing_does_not_wait_for_a_pause(server: Server, simulator: Simulator, fault: str) -> None:
    with raw(server, f"{fault};seconds=600") as sock:
        wait_for(lambda: len(simulator.journal.entries()) == 1)
        before = time.monotonic()

        server.close()

        assert time.monotonic() - before < PROMPT
        while sock.recv(1000):
            pass
