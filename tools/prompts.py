"""Talking with the operator: files and standard input read, questions asked, secrets never echoed."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tools.findings import ToolError, UseError
from tools.messages import Text, text
from tools.output import Output

_STANDARD_INPUT: Final = Path("-")
_SECRET_NAME: Final = re.compile(r"(?!.*BEGIN )[A-Za-z0-9/_+=.@:!-]{1,300}")
"""A public key of 2048 bits has 392 characters in Base64, and names are short."""


def read_file(path: Path) -> str:
    """Read a text file, or standard input for `-`.

    Raises
    ------
    ToolError
        It cannot be read, or is not text.
    """
    try:
        data = sys.stdin.buffer.read() if path == _STANDARD_INPUT else path.read_bytes()
        return data.decode()
    except OSError as error:
        raise UseError("file-unreadable", file=name_of(path), reason=error.strerror) from None
    except UnicodeDecodeError as error:
        is_der = error.object.startswith(b"0")
        raise ToolError("file-binary" if is_der else "file-not-text", file=name_of(path), path=path) from None


def name_of(path: Path) -> str | Text:
    """Return what a file is called in sentences; a key that was given in a file's place is not repeated."""
    if path == _STANDARD_INPUT:
        return text("standard-input")
    return str(path) if is_name(str(path)) else text("given-as-file")


def is_name(word: str) -> bool:
    """Tell whether what was given as a name can be one, and is not a key."""
    return len(word) < 300 and "BEGIN " not in word  # noqa: PLR2004 - see above


def secret_name(word: str) -> str:
    """Read a secret's name or ARN from the command line; anything else is not repeated."""
    if not _SECRET_NAME.fullmatch(word):
        raise UseError("not-a-secret-name")
    return word


def only_one_reads_standard_input(*paths: Path | None) -> None:
    """Refuse a command line on which two files are `-`."""
    if paths.count(_STANDARD_INPUT) > 1:
        raise UseError("standard-input-twice")


def ask(output: Output, key: str, /, **values: Any) -> str:
    """Ask for a line."""
    print(output.words(text(key, **values)), end=" ", file=sys.stderr, flush=True)
    return _line().strip()


def is_confirmed(output: Output, key: str) -> bool:
    """Ask whether to go on; only `yes` or `y` is a yes."""
    return ask(output, key).lower() in {"yes", "y"}


def ask_secretly(output: Output, key: str) -> str:
    """Ask for a key on one line, or a PEM over several; not shown while it is typed or pasted."""
    with _unseen():
        lines = [ask(output, key)]
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
    import termios  # noqa: PLC0415 - not everywhere, and only for terminals

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
