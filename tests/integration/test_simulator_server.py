"""The simulator's server over real sockets: kept connections, resets, drips, and a prompt end."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Customer, Simulator, SimulatorServer, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

VERIFY = "/NumberAbility/h5/verifyVmMobileApi.htm"
PROMPT = 2.0  # seconds; far below the pauses that are armed here


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    customer = Customer("000001", "key", "", frozenset(), frozenset())
    with serve(Simulator(customer, key_bits=1024)) as running:
        yield running


@pytest.fixture
def connection(server: SimulatorServer) -> Iterator[http.client.HTTPConnection]:
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


def raw(server: SimulatorServer, fault: str) -> socket.socket:
    """Send a request by hand and leave its answer to the caller."""
    sock = socket.create_connection((server.host, server.port), timeout=10)
    sock.sendall(
        f"POST {VERIFY} HTTP/1.1\r\nHost: platform\r\nContent-Type: application/json\r\n"
        f"X-Simulator-Fault: {fault}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    return sock


def wait_for_journal(server: SimulatorServer, count: int) -> None:
    simulator = server.app
    assert isinstance(simulator, Simulator)
    deadline = time.monotonic() + 10
    while len(simulator.journal.entries()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_connection_is_kept(connection: http.client.HTTPConnection) -> None:
    assert code(send(connection)) == "130010"
    kept = connection.sock

    assert code(send(connection)) == "130010"
    assert connection.sock is kept


def test_a_connection_survives_refused_methods_and_bodies_nobody_wants(
    connection: http.client.HTTPConnection,
) -> None:
    send(connection, method="PUT", body="x" * 100).read()

    assert code(send(connection)) == "130010"


def test_a_chunked_request_is_read(connection: http.client.HTTPConnection) -> None:
    connection.request(
        "POST", VERIFY, iter([b"{", b"}"]), {"Content-Type": "application/json"}, encode_chunked=True
    )

    assert code(connection.getresponse()) == "130010"


def test_a_body_beyond_64_kib_gets_its_refusal(connection: http.client.HTTPConnection) -> None:
    assert send(connection, body=" " * 1_000_000).status == 413


@pytest.mark.parametrize("head", ["Content-Length: x", "Content-Length: -1", "Transfer-Encoding: chunked"])
def test_framing_that_cannot_be_read_is_a_bad_request(server: SimulatorServer, head: str) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        sock.sendall(f"POST {VERIFY} HTTP/1.1\r\nHost: platform\r\n{head}\r\n\r\nzz\r\n".encode())

        assert b" 400 " in sock.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_reaches_the_client_as_a_reset(server: SimulatorServer, when: str) -> None:
    with raw(server, f"reset;when={when}") as sock, pytest.raises(ConnectionResetError):
        sock.recv(1)


def test_a_kept_connection_can_be_reset(connection: http.client.HTTPConnection) -> None:
    send(connection).read()

    with pytest.raises(ConnectionResetError):
        send(connection, "reset")


def test_an_answer_can_be_cut_off(connection: http.client.HTTPConnection) -> None:
    with pytest.raises(http.client.IncompleteRead):
        send(connection, "cut").read()


def test_a_dripping_body_comes_byte_by_byte_and_whole(connection: http.client.HTTPConnection) -> None:
    response = send(connection, "drip;seconds=0.0001")

    assert len(response.read1(1000)) < 10
    while response.read(1000):
        pass
    assert code(send(connection)) == "130010"


def test_dripping_headers_come_byte_by_byte_and_whole(server: SimulatorServer) -> None:
    with raw(server, "dripHeaders;seconds=0.001") as sock:
        assert len(sock.recv(1000)) < 10
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        assert code(send(connection, "dripHeaders;seconds=0.0001")) == "130010"


def test_an_oversized_answer_comes_without_a_length(connection: http.client.HTTPConnection) -> None:
    response = send(connection, "oversized;bytes=300000")

    assert response.headers["Content-Length"] is None
    assert len(response.read()) > 300_000
    assert code(send(connection)) == "130010"


@pytest.mark.parametrize("fault", ["delay;seconds=600", "drip;seconds=600", "dripHeaders;seconds=600"])
def test_closing_does_not_wait_for_a_pause(server: SimulatorServer, fault: str) -> None:
    with raw(server, fault) as sock:
        wait_for_journal(server, 1)
        before = time.monotonic()

        server.close()

        assert time.monotonic() - before < PROMPT
        while sock.recv(1000):
            pass


def test_a_pause_ends_when_the_client_goes_away(server: SimulatorServer) -> None:
    raw(server, "delay;seconds=600").close()
    wait_for_journal(server, 1)

    deadline = time.monotonic() + 10
    while server.connections:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_closing_ends_kept_connections(
    server: SimulatorServer, connection: http.client.HTTPConnection
) -> None:
    send(connection).read()

    server.close()

    with pytest.raises(ConnectionError):
        send(connection)


def test_a_port_in_use_is_an_os_error(server: SimulatorServer) -> None:
    customer = Customer("000001", "key", "", frozenset(), frozenset())

    with pytest.raises(OSError, match="in use"):
        serve(Simulator(customer, key_bits=1024), port=server.port)


def test_nothing_that_passes_is_printed(server: SimulatorServer, capfd: Any) -> None:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        connection.request("GET", "/NumberAbility/h5/getMobile.htm?simulator.sim=13999994444")
        connection.getresponse().read()

    assert capfd.readouterr() == ("", "")
