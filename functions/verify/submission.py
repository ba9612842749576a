"""What the page hands over, read from the request's fields: the user's number and what the SDK returned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cmpassport.members import FieldError, InvalidMembersError, check_members

MAX_TYPED_CHARACTERS: Final = 64

# What passes on to the platform under our signature is no wider than the protocol. A raw + / = is a page's
# mistake, which passes on and is named when the platform refuses it.
_FORMS: Final = {
    name: (re.compile(pattern, re.ASCII), form)
    for name, pattern, form in (
        ("token", r"[A-Za-z0-9_-]{1,1024}", "1 to 1024 letters, digits, hyphens and underscores"),
        ("userInformation", r"[A-Za-z0-9%+/=._~-]{1,8192}", "URI-encoded, 1 to 8192 characters"),
        ("expandParams", r"[A-Za-z0-9%+/=._~|-]{0,8192}", "URI-encoded, at most 8192 characters"),
        ("nonce", r"[!-~]{1,256}", "1 to 256 printable ASCII characters without spaces"),
    )
}
# The client has the same rule (web/number-verification.js); tests/vectors/numbers.json holds both to it.
_MAINLAND_MOBILE: Final = re.compile(
    r"(?:(?:(?:\+|00)?86|\((?:\+|00)?86\))\.?(?:\(0\))?)?(1[3-9][0-9])\.?([0-9]{4})\.?([0-9]{4})", re.ASCII
)
_FULL_WIDTH: Final = {ord(wide): ord(wide) - 0xFEE0 for wide in "\uff08\uff09\uff0b\uff0e"} | {
    0xFF10 + digit: 0x30 + digit for digit in range(10)
}
# Spaces and hyphens of every width, and the marks that a copied contact brings along.
_DROPPED: Final = dict.fromkeys(
    [
        *map(ord, " \t\u00a0\u202f\u205f\u3000-\u00ad\u2212\ufe58\ufe63\uff0d\u2060\ufeff"),
        *range(0x2000, 0x2016),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ]
)
_NORMAL_FORM: Final = _FULL_WIDTH | _DROPPED


@dataclass(frozen=True, slots=True)
class Submission:
    """A number to verify, with its token. Never shown in a repr.

    Attributes
    ----------
    number
        11 digits.
    token
        The SDK's token, valid for one minute and one use.
    user_information
        As the SDK returned it, URI-encoded already; goes on verbatim.
    expand_params
        `param1=value1|param2=value2`, URL-encoded, or None.
    nonce
        What the business's server gave the page for its receipt, or None.
    device
        What an earlier match gave the page to keep, or None; anything else is worth nothing.
    """

    number: str = field(repr=False)
    token: str = field(repr=False)
    user_information: str = field(repr=False)
    expand_params: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)

    @property
    def miscoding(self) -> str | None:
        """What is wrong with the coding of userInformation, by its looks: a known cause of 120020."""
        if "%25" in self.user_information:
            return "userInformation looks encoded twice"
        if any(character in self.user_information for character in "+/="):
            return "userInformation looks decoded"
        return None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Submission":
        """Read the members of a request's body.

        Raises
        ------
        InvalidMembersError
            A member is missing, unknown or not as documented; names every one, never its value.
        """
        check_members(fields, ("phoneNum", "token", "userInformation"), ("expandParams", "nonce", "device"))
        number = normalise(fields["phoneNum"])
        errors = [
            FieldError(name, f"must be {form}")
            for name, (pattern, form) in _FORMS.items()
            if name in fields and not pattern.fullmatch(fields[name])
        ]
        if number is None:
            reason = "is not a mainland mobile number: 11 digits, starting 13 to 19"
            raise InvalidMembersError(FieldError("phoneNum", reason), *errors)
        if errors:
            raise InvalidMembersError(*errors)
        return cls(
            number,
            fields["token"],
            fields["userInformation"],
            fields.get("expandParams"),
            fields.get("nonce"),
            fields.get("device"),
        )


def normalise(typed: str) -> str | None:
    """Return the 11 digits of a mainland mobile number as a user types or pastes it; None for anything else.

    A country code of China, its trunk prefix, spaces, hyphens, points between the groups and full-width forms
    are normalised; digits of other scripts are not. What stays ambiguous (a dial-around code) is refused.

    Example
    -------
    >>> normalise("+86 (0)139-9999-4444")
    '13999994444'
    """
    if len(typed) > MAX_TYPED_CHARACTERS:
        return None
    found = _MAINLAND_MOBILE.fullmatch(typed.translate(_NORMAL_FORM))
    return found and "".join(found.groups())
