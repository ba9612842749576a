"""What the page hands over: the number as people type and paste it, and the alphabets of the rest."""

import json
from pathlib import Path
from typing import Final

import pytest

from cmpassport.members import FieldError, InvalidMembersError
from verify.submission import MAX_TYPED_CHARACTERS, Submission, normalise

NUMBERS: Final[dict[str, list[str]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "numbers.json").read_text()
)
"""The client's rule too."""
DROPPED = (
    " \t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad"
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)


@pytest.mark.parametrize("typed", NUMBERS["13912345678"])
def test_a_number_is_brought_to_its_11_digits(typed: str) -> None:
    assert normalise(typed) == "13912345678"


@pytest.mark.parametrize("typed", NUMBERS["refused"])
def test_what_is_not_a_mainland_mobile_number_is_refused(typed: str) -> None:
    assert normalise(typed) is None


# Every character that is neither dropped nor read as another makes a number another text.
@pytest.mark.parametrize("place", [0, 3, 11])
def test_no_other_character_is_passed_over(place: int) -> None:
    number = "13912345678"
    passed_over = {
        chr(code)
        for code in range(0x10000)
        if normalise(f"{number[:place]}{chr(code)}{number[place:]}") == number
    }

    assert passed_over == set(DROPPED) | (set(".\uff0e") if place == 3 else set())


def test_a_text_longer_than_anybody_types_is_refused() -> None:
    padding = MAX_TYPED_CHARACTERS - 11

    assert normalise("13912345678" + " " * padding) == "13912345678"
    assert normalise("13912345678" + " " * (padding + 1)) is None


# The other members.

FIELDS: Final = {"phoneNum": "13912345678", "token": "VM_1", "userInformation": "a%2Bb"}
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ALPHABETS: Final = {
    "token": LETTERS + "_-",
    "userInformation": LETTERS + "%+/=._~-",
    "expandParams": LETTERS + "%+/=._~|-",
    "nonce": "".join(map(chr, range(0x21, 0x7F))),
}
BOUNDS: Final = {"token": 1024, "userInformation": 8192, "expandParams": 8192, "nonce": 256}


def refused(**changes: object) -> list[FieldError]:
    try:
        Submission.from_fields({**FIELDS, **changes})
    except InvalidMembersError as error:
        return list(error.errors)
    return []


@pytest.mark.parametrize("name", ALPHABETS)
def test_a_member_has_its_alphabet_and_its_bounds(name: str) -> None:
    accepted = {chr(code) for code in range(0x180) if not refused(**{name: f"a{chr(code)}"})}

    assert accepted == set(ALPHABETS[name])
    assert refused(**{name: "a" * BOUNDS[name]}) == []
    for text in ("a" * (BOUNDS[name] + 1), "号", *([""] if name != "expandParams" else [])):
        (error,) = refused(**{name: text})
        assert error.field == name
        assert not text or text not in error.reason


def test_every_member_that_is_wrong_is_named() -> None:
    wrong = {"phoneNum": "1", "token": "", "userInformation": "号", "expandParams": "号", "nonce": ""}

    assert [error.field for error in refused(**wrong)] == list(wrong)
    assert [error.field for error in refused(**wrong, more=1)] == [""]  # unknown members first


def test_what_is_not_sent_is_none_and_nothing_personal_is_shown() -> None:
    submission = Submission.from_fields(FIELDS)

    assert (submission.expand_params, submission.nonce, submission.device) == (None, None, None)
    full = Submission.from_fields({**FIELDS, "expandParams": "", "nonce": "n1", "device": "d1"})
    assert (full.expand_params, full.nonce, full.device) == ("", "n1", "d1")
    assert repr(full) == "Submission()"
