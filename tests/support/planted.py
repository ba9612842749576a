"""What must never be seen in an output: every personal or secret value that the tests have sent or made."""

from collections.abc import Iterable

_planted: set[str] = set()


def plant(*values: str) -> None:
    """Remember values that no output may hold; all have a digit, for words alone are the logs' too."""
    _planted.update(value for value in values if len(value) > 5 and any(map(str.isdigit, value)))


def leaks(output: str, more: Iterable[str] = ()) -> set[str]:
    """Return the planted values that an output holds, shortened."""
    return {f"{value[:12]}… ({len(value)})" for value in {*_planted, *more} if value in output}
