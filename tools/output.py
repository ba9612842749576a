"""What people read and are asked: findings in groups, no command broken over lines, no secret echoed."""

import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tools.findings import FOUND, Finding, Severity, ToolError, UseError
from tools.messages import ARROW, Language, Text, text

_WIDEST: Final = 100
_WIDE: Final = re.compile("[\u2e80-\uffef]")
"""What takes two columns of a terminal, roughly: Chinese and its punctuation."""
_COMMAND: Final = re.compile(r"`[^`]*`")
_HELD: Final = "\N{NO-BREAK SPACE}"
_MARKS: Final = dict(zip(Severity, "✓·!✗", strict=True))


class Output:
    """Writes results to standard output and everything else to standard error, in the operator's language."""

    def __init__(self, language: Language, given: Mapping[str, str]) -> None:
        self.language = language
        self.given = given
        self._counts: Counter[Severity] = Counter()

    def words(self, what: Text | str) -> str:
        """Return a message in words."""
        return what if isinstance(what, str) else what.say(self.language, self.given)

    def halves(self, what: Text) -> tuple[str, str]:
        """Return what a message says, and what there is to do."""
        said, _, fix = self.words(what).partition(ARROW)
        return said, fix

    def show(self, key: str, /, **values: Any) -> None:
        """Print a message as a paragraph of the result."""
        print(wrapped(self.words(text(key, **values))), flush=True)

    def tell(self, key: str, /, **values: Any) -> None:
        """Say how it goes: to standard error, as standard output is for results."""
        print(wrapped(self.words(text(key, **values))), file=sys.stderr, flush=True)

    def fail(self, what: Text) -> None:
        """Say why a command does not go on, and what to do."""
        said, fix = self.halves(what)
        lines = (wrapped(said, self.words(text("error")) if fix else "", ""), wrapped(fix))
        print(*filter(None, lines), sep="\n", file=sys.stderr)

    def steps(self, *keys: str, **values: Any) -> None:
        """Print what to do next."""
        print(f"\n{self.words(text('next'))}")
        for number, key in enumerate(keys, 1):
            print(wrapped(self.words(text(key, **values)), f"  {number}. "))

    def group(self, title: str, findings: Iterable[Finding]) -> list[Finding]:
        """Print findings under a heading; return them."""
        found = list(findings)
        if found:
            print(f"\n{self.words(text(title))}")
        for finding in found:
            self._counts[finding.severity] += 1
            said, fix = self.halves(finding.text)
            print(wrapped(said, f"  {_MARKS[finding.severity]} "))
            if fix:
                print(wrapped(fix, "    → "))
        return found

    def summary(self) -> int:
        """Print how many findings there were of each kind; return the exit code, 1 where there is a fault."""
        print()
        self.show("summary", **{kind.name.lower(): self._counts[kind] for kind in Severity})
        return FOUND if self._counts[Severity.FAULT] else 0

    def ask(self, key: str, /, **values: Any) -> str:
        """Ask for a line."""
        print(wrapped(self.words(text(key, **values))), end=" ", file=sys.stderr, flush=True)
        return _line().strip()

    def confirm(self, key: str, otherwise: str = "nothing-stored", /, **values: Any) -> None:
        """Ask whether to go on; all but `yes` or `y` ends the command with a message."""
        if self.ask(key, **values).lower() not in {"yes", "y"}:
            raise ToolError(otherwise)

    def ask_secretly(self, key: str) -> str:
        """Ask for a key on one line, or a PEM over several; not shown while it is typed or pasted."""
        with _unseen():
            lines = [self.ask(key)]
            if re.match("-+BEGIN ", lines[0]):
                while not re.match("-+END ", lines[-1]):
                    lines.append(_line())
        if not lines[0]:
            raise UseError("nothing-entered")
        return "\n".join(lines)


@contextmanager
def _unseen() -> Iterator[None]:
    """Have a terminal show nothing of what is typed; getpass would drop all but the first pasted line."""
    if not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - Windows has none (ModuleNotFoundError)

    terminal = sys.stdin.fileno()
    former = termios.tcgetattr(terminal)
    unseen = [*former]
    unseen[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, unseen)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, former)
        print(file=sys.stderr)


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise UseError("input-ended")
    return line.rstrip("\r\n")


def columns(line: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(line) + len(_WIDE.findall(line))


def wrapped(paragraph: str, first: str = "", rest: str | None = None) -> str:
    """Wrap a paragraph; what stands in backquotes stays on one line, so that it can be copied.

    `first` begins the first line, `rest` each further one: by default as many spaces.
    """
    if len(_WIDE.findall(paragraph)) > len(paragraph) // 10:  # Chinese: a terminal breaks it well
        return first + paragraph
    lines = textwrap.wrap(
        _COMMAND.sub(lambda command: command[0].replace(" ", _HELD), paragraph),
        min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns),
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(_HELD, " ")
