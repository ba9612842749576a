"""The members of a request's body: texts, required or optional, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmpassport.errors import CmpassportError


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is not as documented, by name and reason; never its value."""

    field: str
    reason: str


class InvalidMembersError(CmpassportError):
    """A body's members are not as documented.

    Attributes
    ----------
    errors
        Each member that is not as documented.
    """

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("the body's members are not as documented")
        self.errors = errors


def check_members(
    fields: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    """Check that a body has the required members, all of them texts, and no unknown ones.

    Raises
    ------
    InvalidMembersError
        A member is missing, not a text, or unknown.
    """
    errors = [FieldError(name, "is missing") for name in required if name not in fields]
    errors += [
        FieldError(name, "must be a text")
        for name in (*required, *optional)
        if name in fields and not isinstance(fields[name], str)
    ]
    if any(name not in required and name not in optional for name in fields):
        # An unknown member's name is the caller's text: it is not repeated.
        errors.append(FieldError("", f"only these members are known: {', '.join((*required, *optional))}"))
    if errors:
        raise InvalidMembersError(*errors)
