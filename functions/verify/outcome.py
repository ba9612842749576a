"""What became of a token that the platform may have seen."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from cmpassport.problems import Problem
from verify.codes import VERIFIED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a token that the platform may have seen; what is stored and returned again.

    Attributes
    ----------
    problem
        The refusal that it amounts to; None for a verdict.
    result_code
        The platform's return code; empty where there was no proper answer.
    result_desc
        The platform's words, or the guide's.
    msg_id
        The request's identifier, by which the platform finds it.
    task_id
        The platform's serial number; may be empty.
    attempts_left
        How many more attempts the caller has this day.
    verified_at
        When the answer came, in whole seconds since 1970.
    """

    problem: Problem | None
    result_code: str
    result_desc: str
    msg_id: str
    task_id: str
    attempts_left: int
    verified_at: int

    @property
    def verified(self) -> bool:
        """Whether the number is this SIM's."""
        return self.result_code == VERIFIED.code

    def to_record(self) -> dict[str, Any]:
        """Return what is stored: no part of it is personal."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}  # asdict copies deeply
        return {**record, "problem": self.problem and self.problem.code}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what was stored."""
        code = record["problem"]
        return cls(
            problem=next(problem for problem in Problem if problem.code == code) if code else None,
            result_code=record["result_code"],
            result_desc=record["result_desc"],
            msg_id=record["msg_id"],
            task_id=record["task_id"],
            attempts_left=record["attempts_left"],
            verified_at=record.get("verified_at", 0),  # not in what an earlier release stored
        )
