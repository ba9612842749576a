import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from local.relay import Relay

SECOND_LOOPBACK = "127.0.0.2"  # plays the bridge: an address of its own on which the same port is free


@pytest.fixture
def port_that_answers() -> Iterator[int]:
    """Give a loopback port that returns all it got, upper-case, once the sender has ended."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                heard = b""
                while chunk := connection.recv(65536):
                    heard += chunk
                connection.sendall(heard.upper())

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_what_a_container_sends_arrives_and_is_answered(port_that_answers: int) -> None:
    sent = b"x" * 1_000_000
    with (
        Relay(SECOND_LOOPBACK, [port_that_answers]),
        socket.create_connection((SECOND_LOOPBACK, port_that_answers), timeout=10) as container,
    ):
        container.sendall(sent)
        container.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: container.recv(65536), b""))

    assert heard == sent.upper()


def test_a_port_on_which_nothing_answers_ends_the_connection() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with (
        Relay(SECOND_LOOPBACK, [port]),
        socket.create_connection((SECOND_LOOPBACK, port), timeout=10) as container,
    ):
        assert container.recv(1) == b""


def test_a_port_that_is_taken_is_an_error() -> None:
    with closing(socket.create_server((SECOND_LOOPBACK, 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), Relay(SECOND_LOOPBACK, [port]):
            pass
