"""The one server over real sockets: what is refused unread, a prompt end, and what is not HTTP."""

import http.client
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
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


def exchange(server: Server, text: bytes) -> bytes:
    """Send bytes as they are, then nothing more; return all that comes back."""
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_a_body_that_nobody_wants_is_answered_and_one_in_chunks_is_read(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    for method, body, status in (("PUT", "x" * 100, 405), ("POST", " " * 1_000_000, 413)):
        assert urllib3.request(method, server.url + VERIFY, body=body, retries=False).status == status
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("POST", "/", iter([b"tw", b"o"]), encode_chunked=True)
    assert connection.getresponse().read() == b"two"
    connection.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
        b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % VERIFY.encode(),
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_does_no_harm_to_the_next_request(
    server: Server, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    exchange(server, nonsense)

    assert exchange(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert capfd.readouterr() == ("", "")


def test_an_applications_mistake_is_an_internal_server_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert urllib3.request("GET", f"{server.url}/broken", retries=False).status == 500
    server.close()  # waits for the handler, which says so last
    assert "the application's mistake" in caplog.text


@pytest.mark.parametrize("fault", ["delay", "drip"])
def test_closing_does_not_wait_for_a_pause(server: Server, simulator: Simulator, fault: str) -> None:
    simulator.journal.clear()
    simulator.faults.arm({"fault": fault, "seconds": 600})
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        sock.sendall(f"POST {VERIFY} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        while not simulator.journal.entries():
            time.sleep(0.01)  # between two looks
        before = time.monotonic()

        server.close()

        assert time.monotonic() - before < PROMPT
        while sock.recv(1000):
            pass
