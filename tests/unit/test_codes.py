"""The platform's return codes: what each is to the page, and to the number's attempts."""

import pytest

from cmpassport.problems import Problem
from verify.codes import KEY_FAULTS, Settlement, Who, look_up

SPENT, BACK = Settlement.SPENT, Settlement.GIVEN_BACK
OPERATOR = (Who.OPERATOR, Problem.PLATFORM_REJECTED, BACK)

# Every code of the guide, written out: who mends it, what the page gets, what becomes of the attempt.
EXPECTED = {
    **dict.fromkeys(("103605", "130010", "130016", "130018", "130032", "110022", "110023"), OPERATOR),
    **dict.fromkeys(("110025", "110027", "110004", "111075", "170001"), OPERATOR),
    "000": (Who.NOBODY, None, SPENT),
    "001": (Who.USER, None, SPENT),
    "120020": (Who.PAGE, Problem.TOKEN_REJECTED, BACK),
    "121011": (Who.USER, Problem.ATTEMPTS_EXHAUSTED, SPENT),
    "999999": (Who.PLATFORM, Problem.PLATFORM_ERROR, SPENT),
    "500": (Who.PAGE, Problem.PLATFORM_REJECTED, BACK),
    "111002": (Who.USER, Problem.PLATFORM_REJECTED, BACK),
}

# Seen elsewhere in the platform's family, and some that nobody has seen.
UNKNOWN = ["000000", "105112", "0", "00", "0000", "002", "000 ", "０００"]


@pytest.mark.parametrize(("code", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_a_code_of_the_guide_means_what_the_guide_says(
    code: str, expected: tuple[Who, Problem | None, Settlement]
) -> None:
    found = look_up(code)

    assert found.code == code
    assert (found.who, found.problem, found.settlement) == expected
    assert found.description
    assert (code in KEY_FAULTS) is (code in {"130016", "130018"})


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_code_that_no_table_has_is_no_verdict_and_stays_spent(code: str) -> None:
    found = look_up(code)

    assert found.code == code
    assert (found.who, found.problem, found.settlement) == (Who.PLATFORM, Problem.PLATFORM_ERROR, SPENT)


def test_who_fixes_it_is_logged_in_these_words() -> None:
    assert [who.value for who in Who] == ["nobody", "user", "page", "operator", "platform"]
