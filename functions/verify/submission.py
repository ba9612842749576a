"""What the page hands over, read from the request's fields: the user's number and what the SDK returned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cmpassport.members import FieldError, InvalidMembersError, check_members

MAX_TYPED_CHARACTERS: Final = 64
MAX_TEXT_CHARACTERS: Final = 8192

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,1024}", re.ASCII)
# No wider than the protocol, since it passes on under our signature; a raw + / = is a page's mistake.
_USER_INFORMATION: Final = re.compile(rf"[A-Za-z0-9%+/=._~-]{{1,{MAX_TEXT_CHARACTERS}}}", re.ASCII)
_EXPAND_PARAMS: Final = re.compile(rf"[A-Za-z0-9%+/=._~|-]{{1,{MAX_TEXT_CHARACTERS}}}", re.ASCII)
_NONCE: Final = re.compile(r"[!-~]{1,256}", re.ASCII)

_MAINLAND_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_COUNTRY_CODE: Final = re.compile(r"\A(?:\+|00)86", re.ASCII)
_FULL_WIDTH: Final = {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF0B: "+"}
# Spaces and hyphens of every width, and the marks for text direction that a copied contact brings along.
_DROPPED: Final = dict.fromkeys(
    map(
        ord,
        " \t\u00a0\u2002\u2003\u2009\u202f\u3000"
        "-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d"
        "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    )
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
        errors = []
        if number is None:
            errors.append(
                FieldError("phoneNum", "is not a mainland mobile number: 11 digits, starting 13 to 19")
            )
        if not _TOKEN.fullmatch(fields["token"]):
            errors.append(
                FieldError("token", "is not a token: 1 to 1024 letters, digits, hyphens and underscores")
            )
        for name in ("userInformation", "expandParams"):
            value = fields.get(name)
            if value is not None and not (value.isprintable() and len(value) <= MAX_TEXT_CHARACTERS):
                errors.append(
                    FieldError(name, f"must be printable, at most {MAX_TEXT_CHARACTERS} characters")
                )
        if fields["userInformation"] == "":
            errors.append(FieldError("userInformation", "is empty; pass on what the SDK returned"))
        if not _NONCE.fullmatch(fields.get("nonce", "-")):
            errors.append(FieldError("nonce", "must be 1 to 256 printable ASCII characters without spaces"))
        if errors or number is None:
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

    `+86` and `0086`, spaces, hyphens and full-width digits are normalised; digits of other scripts are not.

    Example
    -------
    >>> normalise("+86 139-9999-4444")
    '13999994444'
    """
    if len(typed) > MAX_TYPED_CHARACTERS:
        return None
    digits = _COUNTRY_CODE.sub("", typed.translate(_NORMAL_FORM), count=1)
    return digits if _MAINLAND_MOBILE.fullmatch(digits) else None
