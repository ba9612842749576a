"""What commands say of what they look at: findings, each with what to do; and how a command fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tools.messages import Text, text

FOUND: Final = 1
"""Exit code of a finding or a failure."""


class Severity(StrEnum):
    """How much a finding matters; a fault alone makes the command fail."""

    OK = "ok"
    UNKNOWN = "not checked"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its kind, whether it matters, what is said; no secret, number or key."""

    code: str
    severity: Severity
    text: Text


def fine(code: str, message: str = "", /, **values: Any) -> Finding:
    """Make the finding of what is in order; the message's key is the code unless another is named."""
    return Finding(code, Severity.OK, text(message or code, **values))


def unknown(code: str, message: str = "", /, **values: Any) -> Finding:
    """Make the finding of what could not be looked at, or was not asked for."""
    return Finding(code, Severity.UNKNOWN, text(message or code, **values))


def warning(code: str, message: str = "", /, **values: Any) -> Finding:
    """Make the finding of what works but should not stay so."""
    return Finding(code, Severity.WARNING, text(message or code, **values))


def fault(code: str, message: str = "", /, **values: Any) -> Finding:
    """Make the finding of what keeps the product from working."""
    return Finding(code, Severity.FAULT, text(message or code, **values))


def failed(findings: Iterable[Finding]) -> bool:
    """Tell whether anything keeps the product from working."""
    return any(finding.severity is Severity.FAULT for finding in findings)


class ToolError(Exception):
    """A command cannot go on; the message, of `messages.toml`, never carries a secret."""

    exit_code = FOUND

    def __init__(self, key: str, /, **values: Any) -> None:
        super().__init__(key)
        self.text = text(key, **values)


class UseError(ToolError):
    """The command line, or a file that it names, cannot be followed; the exit code is argparse's own."""

    exit_code = 2
