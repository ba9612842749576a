"""The doctor's view of other machines, each of which may be slow, endless or no server at all."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import pytest

from tools.doctor.facts import Contact, Stage
from tools.doctor.world import Patience, ThisMachine
from verify.platform import Limits

SECONDS = 0.5
MACHINE = ThisMachine(lambda _: None, patience=Patience(SECONDS, SECONDS, SECONDS))
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """Run a server on loopback that begins an answer at once and goes on by a byte every 50 ms, for ever."""
    ended = Event()

    def serve(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        with taken, suppress(OSError):
            taken.recv(65536)
            taken.sendall(beginning)
            while not ended.wait(0.05):
                taken.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(10)


ASKED: dict[str, tuple[Callable[[str], Any], Any]] = {
    "a page": (lambda url: MACHINE.get(url).error, "TimeoutError"),
    "the API": (lambda url: MACHINE.post(url, "https://www.abc.com", {}).error, "TimeoutError"),
    "a clock": (MACHINE.server_clock, None),
}


@pytest.mark.parametrize(
    "beginning",
    [b"", HEAD + b"X-Long: ", HEAD + b"Content-Length: 9999\r\n\r\n"],
    ids=["in the status line", "in the headers", "in the body"],
)
@pytest.mark.parametrize("asked", ASKED)
def test_whoever_answers_by_drops_holds_the_doctor_no_longer_than_its_deadline(
    asked: str, beginning: bytes
) -> None:
    ask, expected = ASKED[asked]
    started = time.monotonic()

    with dripping(beginning) as url:
        answer = ask(url)
        took = time.monotonic() - started

    assert answer == expected
    assert took < 10 * SECONDS


def test_a_platform_that_answers_by_drops_is_silent_at_its_deadline() -> None:
    started = time.monotonic()

    with dripping(HEAD + b"X-Long: ") as url:
        contact = MACHINE.contact(f"{url}/verify", Limits(connect=5, read=5, deadline=SECONDS))
        took = time.monotonic() - started

    assert isinstance(contact, Contact)
    assert (contact.reached, contact.detail) == (Stage.HTTP, "no answer in time")
    assert took < 10 * SECONDS


def test_an_endless_page_is_read_up_to_its_first_mib() -> None:
    with dripping(HEAD + b"\r\n" + b"x" * ((1 << 20) + 5)) as url:
        page = ThisMachine(lambda _: None).get(url)

    assert (page.status, len(page.body)) == (200, 1 << 20)
