"""The phone number as people type and paste it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from verify.submission import MAX_TYPED_CHARACTERS, normalise

NUMBERS = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
SEPARATORS = st.sampled_from(
    ["", " ", "-", "\u00a0", "\u3000", "\u2011", "\u2013", "\u2212", "\uff0d", "\u202c"]
)


@pytest.mark.parametrize(
    "typed",
    [
        "13912345678",
        "139 1234 5678",
        "139-1234-5678",
        " 13912345678\t",
        "+8613912345678",
        "+86 139 1234 5678",
        "+86-139-1234-5678",
        "008613912345678",
        "0086 139-1234-5678",
        "１３９１２３４５６７８",
        "＋８６１３９１２３４５６７８",
        "０００８６１３９１２３４５６７８"[1:],
        "139１２３４5678",
        "139\u20111234\u20115678",
        "139\u20131234\u20135678",
        "139\uff0d1234\uff0d5678",
        "\u202d139 1234 5678\u202c",  # as a contact is copied on an iPhone
        "\u2066+86 139 1234 5678\u2069",
        "139\u00a01234\u00a05678",
        "\u3000139\u30001234\u30005678",
        "\ufeff13912345678",
        "13912345678\u200b",
    ],
)
def test_a_number_is_brought_to_its_11_digits(typed: str) -> None:
    assert normalise(typed) == "13912345678"


@pytest.mark.parametrize("second", "3456789")
def test_every_mobile_prefix_of_the_mainland_is_accepted(second: str) -> None:
    assert normalise(f"1{second}000000000") == f"1{second}000000000"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "-",
        "+86",
        "1391234567",  # 10 digits
        "139123456789",  # 12 digits
        "10912345678",
        "11912345678",
        "12912345678",
        "23912345678",
        "01391234567",
        "8613912345678",  # without the sign it might be another number
        "+8613912345678 ext 1",
        "+86+8613912345678",
        "++8613912345678",
        "00008613912345678",
        "+85291234567",
        "+114155552671",
        "13912345678;",
        "13912345678,13912345679",
        "13912345678\n",
        "139\n12345678",
        "139\r12345678",
        "139\x0012345678",
        "139.1234.5678",
        "139_1234_5678",
        "(139)12345678",
        "1391234567O",
        "l3912345678",
        "١٣٩١٢٣٤٥٦٧٨",  # Arabic-Indic digits
        "१३९१२३४५६७८",  # Devanagari digits
        "𝟭𝟯𝟵𝟭𝟮𝟯𝟰𝟱𝟲𝟳𝟴",  # mathematical digits
        "¹³⁹¹²³⁴⁵⁶⁷⁸",
        "13912345678\u0300",
        "phone",
        "一三九一二三四五六七八",
        "0x33dcd6a4e",
        "1.3912345678e10",
    ],
)
def test_what_is_no_mainland_mobile_number_is_refused(typed: str) -> None:
    assert normalise(typed) is None


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


@given(NUMBERS, st.sampled_from(["", "+86", "0086"]), st.lists(SEPARATORS, min_size=11, max_size=11))
def test_separators_may_stand_anywhere(number: str, country: str, separators: list[str]) -> None:
    typed = country + "".join(gap + digit for gap, digit in zip(separators, number, strict=True))

    assert normalise(typed) == number
