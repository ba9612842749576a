"""What the commands say of what they look at: findings, each with what to do."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from tools.commands import Given


class Severity(StrEnum):
    """How much a finding matters; a fault alone makes the command fail."""

    OK = "ok"
    UNKNOWN = "not checked"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    code
        Names the kind of finding, for machines; never changed.
    severity
        Whether it matters.
    what
        What was looked at and how it is; quotes no secret, number or key.
    remedy
        What to do next; empty for what is in order.
    """

    code: str
    severity: Severity
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Findings under one heading."""

    title: str
    findings: tuple[Finding, ...]

    def completed(self, given: Given) -> Self:
        """Complete the commands in the remedies by what the command line names."""
        made = (replace(finding, remedy=given.completed(finding.remedy)) for finding in self.findings)
        return replace(self, findings=tuple(made))


def fine(code: str, what: str) -> Finding:
    """Make the finding of what is in order."""
    return Finding(code, Severity.OK, what)


def unknown(code: str, what: str, remedy: str) -> Finding:
    """Make the finding of what could not be looked at, or was not asked for."""
    return Finding(code, Severity.UNKNOWN, what, remedy)


def warning(code: str, what: str, remedy: str) -> Finding:
    """Make the finding of what works but should not stay so."""
    return Finding(code, Severity.WARNING, what, remedy)


def fault(code: str, what: str, remedy: str) -> Finding:
    """Make the finding of what keeps the product from working."""
    return Finding(code, Severity.FAULT, what, remedy)
