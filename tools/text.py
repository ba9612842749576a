"""Text for people: wrapped to the terminal, with no command broken over two lines."""

import argparse
import re
import shutil
import textwrap
from typing import Final

_WIDEST: Final = 100
COMMAND: Final = re.compile(r"`[^`]*`")
"""A command in a text."""

_HELD: Final = "\N{NO-BREAK SPACE}"
_FIRST_WIDE: Final = 0x2E80
"""From here on, roughly, a letter takes two columns: Chinese and its punctuation."""


class HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions, and leaves a text of several lines, such as examples, as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def columns(text: str) -> int:
    """Give how many columns of a terminal a text takes."""
    return sum(2 if ord(letter) >= _FIRST_WIDE else 1 for letter in text)


def wrapped(text: str, first: str = "", rest: str | None = None) -> str:
    """Wrap a paragraph; what stands in backquotes stays on one line, so that it can be copied.

    Parameters
    ----------
    first, rest
        What begins the first line, and each further one (by default as many spaces).
    """
    rest = " " * columns(first) if rest is None else rest
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    if columns(text) != len(text):  # Chinese has no spaces to break at; a terminal breaks it well
        return first + text
    held = COMMAND.sub(lambda command: command[0].replace(" ", _HELD), text)
    lines = textwrap.wrap(
        held,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(_HELD, " ")
