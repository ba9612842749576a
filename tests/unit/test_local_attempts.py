"""The control that gives the day's attempts back: for the stack's own page alone."""

import pytest

from local.attempts import attempts_control
from local.server import Application, Request

PAGE = "http://127.0.0.1:8080"


class Counter:
    """Counts, until it is told to forget."""

    def __init__(self) -> None:
        self.attempts = 5

    def forget(self) -> None:
        self.attempts = 0


@pytest.fixture
def counters() -> tuple[Counter, Counter]:
    return Counter(), Counter()


@pytest.fixture
def control(counters: tuple[Counter, Counter]) -> Application:
    return attempts_control(PAGE, *(counter.forget for counter in counters))


def test_the_page_gives_all_attempts_back(control: Application, counters: tuple[Counter, Counter]) -> None:
    response = control(Request("DELETE", "/panel/attempts", (("Origin", PAGE),)))

    assert (response.status, response.body) == (204, b"")
    assert [counter.attempts for counter in counters] == [0, 0]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8081", "http://evil.example:8080", "null", f"{PAGE}/"])
def test_another_page_gives_nothing_back(
    control: Application, counters: tuple[Counter, Counter], origin: str
) -> None:
    response = control(Request("DELETE", "/panel/attempts", (("Origin", origin),)))

    assert response.status == 403
    assert "access-control-allow-origin" not in dict(response.headers)
    assert [counter.attempts for counter in counters] == [5, 5]


def test_who_does_not_say_where_it_comes_from_gives_nothing_back(
    control: Application, counters: tuple[Counter, Counter]
) -> None:
    assert control(Request("DELETE", "/panel/attempts")).status == 403
    assert [counter.attempts for counter in counters] == [5, 5]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_what_a_link_or_a_form_may_send_gives_nothing_back(
    control: Application, counters: tuple[Counter, Counter], method: str
) -> None:
    response = control(Request(method, "/panel/attempts", (("Origin", PAGE),)))

    assert (response.status, dict(response.headers)["allow"]) == (405, "DELETE")
    assert [counter.attempts for counter in counters] == [5, 5]
