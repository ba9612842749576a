"""Findings as people read them: grouped lines, in colour on a terminal, with a count at the end."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TextIO

from tools.findings import Finding, Group, Severity
from tools.text import wrapped

_MARKS: Final[Mapping[Severity, str]] = {
    Severity.OK: "✓",
    Severity.UNKNOWN: "·",
    Severity.WARNING: "!",
    Severity.FAULT: "✗",
}
_COLOURS: Final[Mapping[Severity, str]] = {
    Severity.OK: "32",
    Severity.UNKNOWN: "2",
    Severity.WARNING: "33",
    Severity.FAULT: "31",
}
_PLAIN_MARKS: Final = {"✓": "+", "·": "-", "!": "!", "✗": "x", "→": ">"}


def failed(groups: Sequence[Group]) -> bool:
    """Tell whether anything keeps the product from working."""
    return any(finding.severity is Severity.FAULT for group in groups for finding in group.findings)


class Paper:
    """Writes groups for people as they come; in colour on a terminal, unless NO_COLOR is set.

    Parameters
    ----------
    stream
        Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._counts = dict.fromkeys(Severity, 0)

    def heading(self, place: str) -> None:
        """Write what is examined."""
        self._write(f"Looking over {place}.\n")

    def group(self, group: Group) -> None:
        """Write one step's findings."""
        if group.findings:
            self._write(f"\n{group.title}\n")
        for finding in group.findings:
            self._counts[finding.severity] += 1
            self._write("".join(self._lines(finding)))
        self._stream.flush()

    def to_report(self, lines: Mapping[str, str]) -> None:
        """Write what is pasted into the open platform."""
        if lines:
            self._write("\nTo paste into the open platform\n")
        for field, line in lines.items():
            self._write(f"  {field}:\n    {line}\n")

    def summary(self) -> None:
        """Write how many findings there were of each kind."""
        names = {
            Severity.FAULT: ("fault", "faults"),
            Severity.WARNING: ("warning", "warnings"),
            Severity.OK: ("in order", "in order"),
            Severity.UNKNOWN: ("not checked", "not checked"),
        }
        counted = [
            f"{self._counts[severity]} {names[severity][self._counts[severity] != 1]}"
            for severity in names
            if self._counts[severity]
        ]
        self._write(f"\n{', '.join(counted)}.\n")

    def _lines(self, finding: Finding) -> Iterator[str]:
        mark = _MARKS[finding.severity]
        text = wrapped(finding.what, f"  {mark} ", "    ")
        if self._colour:
            text = text.replace(mark, f"\x1b[{_COLOURS[finding.severity]}m{mark}\x1b[0m", 1)
        yield f"{text}\n"
        if finding.remedy:
            yield f"{wrapped(finding.remedy, '    → ', '      ')}\n"

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:  # a terminal that knows no more than ASCII
            for mark, plain in _PLAIN_MARKS.items():
                text = text.replace(mark, plain)
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(text)
