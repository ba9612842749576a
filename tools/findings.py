"""What commands say of what they look at: findings, each with what to do; and how a command fails."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Final

from tools.messages import Text, text

FOUND: Final = 1
"""Exit code of a finding or a failure."""


class Severity(Enum):
    """How much a finding matters; a fault alone makes the command fail."""

    OK = auto()
    UNKNOWN = auto()
    WARNING = auto()
    FAULT = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it matters, and what is said; no secret, number or key."""

    severity: Severity
    text: Text


def _make(severity: Severity, key: str, /, **values: Any) -> Finding:
    return Finding(severity, text(key, **values))


fine, unknown, warning, fault = (partial(_make, each) for each in Severity)
"""Make a finding of a message's key and values."""


class ToolError(Exception):
    """A command does not go on: raised wherever that is found, it ends the command.

    The message, of `messages.toml`, never carries a secret; one without a fix is of no error, but of a "no".
    """

    exit_code = FOUND

    def __init__(self, key: str, /, **values: Any) -> None:
        super().__init__(key)
        self.text = text(key, **values)


class UseError(ToolError):
    """The command line, or a file that it names, cannot be followed; the exit code is argparse's own."""

    exit_code = 2
