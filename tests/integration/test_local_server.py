"""The one server over real sockets: what is refused unread, and a prompt end."""

import http.client
import socket
import time
from collections.abc import Iterator

import pytest
import urllib3

from local.server import Server
from local.simulator import Customer, Simulator

VERIFY = "/NumberAbility/h5/verifyVmMobileApi.htm"
PROMPT = 2.0  # seconds; far below the pauses that are armed here


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(Customer("000001", "key", "", frozenset(), frozenset()), key_bits=1024)


@pytest.fixture
def server(simulator: Simulator) -> Iterator[Server]:
    with Server(simulator) as running:
        yield running


def test_a_body_that_nobody_wants_is_answered_and_one_in_chunks_is_read(
    server: Server, simulator: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    for method, body, status in (("PUT", "x" * 100, 405), ("POST", " " * 1_000_000, 413)):
        assert urllib3.request(method, server.url + VERIFY, body=body, retries=False).status == status
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("POST", VERIFY, iter([b"tw", b"o"]), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert simulator.journal.entries()[-1]["request"]["body"] == "two"
    assert capfd.readouterr() == ("", "")


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
