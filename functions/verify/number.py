"""The phone number as a user types or pastes it, brought to the 11 digits that the platform compares."""

import re
from typing import Final

_MAINLAND_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_COUNTRY_CODE: Final = re.compile(r"\A(?:\+|00)86", re.ASCII)
MAX_TYPED_CHARACTERS: Final = 64

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


def normalise(typed: str) -> str | None:
    """Give the 11 digits of a mainland mobile number, or None if it is none.

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
