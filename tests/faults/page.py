"""Writes docs/faults.md from the table of faults: `make docs`."""

from typing import Final

from local import ROOT
from tests.faults.table import PARTS, ROWS, Effect, Part

PAGE: Final = ROOT / "docs" / "faults.md"

_HEAD: Final = """\
# What happens when something fails

{count} faults around a verification, and what each of them does. This page is made by `make docs` from
`tests/faults/table.py`; `tests/integration/test_fault_table.py` provokes each row on the local stack and
compares every column.

| column | |
|---|---|
| answer | HTTP status, code and action; for a verdict, the return code |
| attempt | what becomes of it: spent is one of the day's five, unjudged one of ten without a verdict |
| calls | requests that reached the platform, for which it may have judged, and billed |
| metrics | those that moved |
| log | the function's lines, without the one before each call; in parentheses reason, error or return code |
| again | what the same request gets when it comes again, the fault being over |

In no row is anything sent twice, and in none is a number verified without the platform's 000. Where it is not
known whether the platform has judged, the attempt is not given back and the token is not sent again. A token
whose outcome could not be stored, or whose function died, stays held for five minutes: longer than it lives.
"""
_COLUMNS: Final = ("fault", "answer", "attempt", "calls", "metrics", "log", "again")


def build() -> str:
    return "\n".join([_HEAD.format(count=len(ROWS)), *map(_part, PARTS)])


def _part(part: Part) -> str:
    lines = [_row(_COLUMNS), _row(("---",) * len(_COLUMNS))]
    lines += [_row((row.name, *_cells(row.effect))) for row in part.rows]
    return "\n".join([f"## {part.title}", "", part.text, "", *lines, ""])


def _cells(effect: Effect) -> tuple[str, ...]:
    status, code, action = effect.answer.split()
    return (
        f"{status} `{code}` `{action}`",
        effect.attempt,
        str(effect.calls),
        ", ".join(sorted(effect.metrics)),
        "; ".join(effect.log),
        effect.again,
    )


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
