"""Talking with the operator: files and standard input read, questions asked, secrets never echoed."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.commands import SecretKind
from tools.errors import WRONG_USE, ToolError

STANDARD_INPUT: Final = Path("-")

_PEM_BEGINS: Final = re.compile(r"-+BEGIN ")
_PEM_ENDS: Final = re.compile(r"-+END ")
_DER_SEQUENCE: Final = 0x30
_SECRET_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@:!-]+")
_LONGEST_NAME: Final = 300
"""Characters; a public key of 2048 bits has 392 in Base64, and names are short."""


def read_file(path: Path) -> str:
    """Read a text file, or standard input for `-`.

    Raises
    ------
    ToolError
        It cannot be read, or is no text.
    """
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise ToolError(
            f"{name_of(path)} cannot be read: {error.strerror}",
            "Check the name, or give - for standard input.",
            WRONG_USE,
        ) from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if data[0] == _DER_SEQUENCE:
        raise ToolError(
            f"{name_of(path)} is binary: DER or PKCS#12, where Base64 or PEM is wanted",
            f"Write DER as Base64: `openssl base64 -A -in {path} -out KEY.txt`; of PKCS#12 first make PEM: "
            f"`openssl pkcs12 -in {path} -nodes -nocerts -out KEY.pem`.",
        )
    raise ToolError(
        f"{name_of(path)} is no text in UTF-8", "Save it as UTF-8, without anything but the key in it."
    )


def name_of(path: Path) -> str:
    """Give what a file is called in sentences; a key that was given in a file's place is not repeated."""
    if path == STANDARD_INPUT:
        return "standard input"
    return "what was given as a file" if is_like_a_key(str(path)) else str(path)


def secret_name(text: str) -> str:
    """Read a secret's name or ARN from the command line, for argparse; what is none is not repeated."""
    if is_like_a_key(text) or not _SECRET_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "the name or ARN of a secret is wanted. If that was a key: it is in the shell's history now, so "
            "take it out there, and make another"
        )
    return text


def add_secret_option(parser: argparse.ArgumentParser, kind: SecretKind) -> None:
    """Add --secret, which names a secret of a kind, by default its usual name."""
    parser.add_argument(
        "--secret",
        type=secret_name,
        metavar="NAME",
        default=kind.value,
        help=f"the secret (default: {kind.value})",
    )
    parser.set_defaults(kind=kind)


def is_like_a_key(text: str) -> bool:
    """Tell whether what was given on the command line may be a key."""
    return len(text) > _LONGEST_NAME or "BEGIN " in text


def only_one_reads_standard_input(*paths: Path | None) -> None:
    """Refuse a command line on which two files are `-`."""
    if paths.count(STANDARD_INPUT) > 1:
        raise ToolError("- can stand for one file only", "Write one of them to a file.", WRONG_USE)


def ask_secretly(question: str) -> str:
    """Ask for a line that is not shown."""
    with _unseen():
        return ask(f"{question} (not shown)")


def ask_for_key(question: str) -> str:
    """Ask for a key on one line, or a PEM over several; not shown, as it may be the wrong one."""
    with _unseen():
        lines = [ask(f"{question} (not shown)")]
        if _PEM_BEGINS.match(lines[0]):
            while not _PEM_ENDS.match(lines[-1]):
                lines.append(_line())
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
        say()


def ask(question: str) -> str:
    """Ask for a line. The question goes to standard error: standard output is for results."""
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    return _line().strip()


def is_confirmed(question: str) -> bool:
    """Ask whether to go on; only `yes` or `y` is a yes."""
    return ask(f"{question} [yes/no]").lower() in {"yes", "y"}


def say(text: str = "") -> None:
    """Tell how it goes: to standard error, as standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise ToolError(
            "the input ended before the question was answered",
            "Run it in a terminal, or give what it asks for by options (--help).",
            WRONG_USE,
        )
    return line.rstrip("\r\n")
