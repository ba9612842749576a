"""The closed grammar of preSign: the real forms are signed, and nothing else ever is."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpassport.clock import SHANGHAI
from cmpassport.keys import MIN_KEY_BITS
from presign.grammar import PreSignGrammar, PreSignRejectedError
from tests.fuzz.targets import APP_ID, is_presign, one_character_away
from verify.message import format_timestamp

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
STAMP: Final = "20261123115959999"
MSG_ID: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
UUID: Final = "VUTSRQPONMLKJIHGFEDCBA9876543210"
HEX_UUID: Final = "3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21"
CURRENT: Final = f"{APP_ID}{MSG_ID}{STAMP}{UUID}1.2"
LEGACY: Final = f"{APP_ID}0.8345021879311264{STAMP}{HEX_UUID}1.0"
SMALL: Final = f"{APP_ID}5.9e-7{STAMP}{HEX_UUID}1.0"  # what JavaScript makes of a small number
FORMS: Final = (
    CURRENT,
    LEGACY,
    LEGACY.replace(HEX_UUID, f"cms-{HEX_UUID}"),
    SMALL,
    SMALL.replace("-7", "-12"),
)

GRAMMAR: Final = PreSignGrammar(APP_ID, timedelta(hours=24))
ANY_TIME: Final = PreSignGrammar(APP_ID, None)


def refusal(text: str, grammar: PreSignGrammar = ANY_TIME, now: datetime = NOW) -> str | None:
    """Return why a text is not signed; None if it is."""
    try:
        grammar.check(text, now)
    except PreSignRejectedError as rejected:
        return str(rejected)
    return None


# What the SDK's builds make.


@pytest.mark.parametrize(
    "pre_sign",
    [
        *FORMS,
        f"{APP_ID}{'9' * 32}{STAMP}{'9' * 32}1.2",  # digits alone: where the timestamp stands decides
        f"{APP_ID}0.5{STAMP}{HEX_UUID}1.0",
        f"{APP_ID}0.{'1' * 20}{STAMP}{HEX_UUID}1.0",
        f"{APP_ID}9.313225746154785e-10{STAMP}cms-{HEX_UUID}1.0",
        f"{APP_ID}1e-19{STAMP}{HEX_UUID}1.0",
        f"{APP_ID}0.20261123115959999{STAMP}{HEX_UUID}1.0",  # a fraction that looks like a timestamp
        f"{APP_ID}0.8345{STAMP}20261123-1159-5999-2026-1123115959991.0",  # a uuid of digits alone
    ],
)
def test_what_the_sdk_makes_is_accepted(pre_sign: str) -> None:
    GRAMMAR.check(pre_sign, NOW)


@pytest.mark.parametrize("app_id", ["000001", "300012345678", "3"])
def test_the_appid_is_the_configured_one(app_id: str) -> None:
    PreSignGrammar(app_id, None).check(app_id + CURRENT.removeprefix(APP_ID), NOW)
    assert refusal(CURRENT, PreSignGrammar("......", None))  # which is no pattern


# What is refused.

REFUSED: Final = {
    "nothing": "",
    "another appId": "000002" + CURRENT[6:],
    "an appId that begins with ours": APP_ID + "1" + CURRENT[6:],
    "an appId that ours begins with": CURRENT[6:].join((APP_ID[:-1], "")),
    "no version": CURRENT[:-3],
    "text after it": CURRENT + "1.2",
    "text before it": "x" + CURRENT,
    "Arabic digits in the timestamp": CURRENT.replace(STAMP, STAMP.replace("2", "٢")),
    "a long s": LEGACY.replace("cms-", "cmſ-").replace(HEX_UUID, "cmſ-" + HEX_UUID),
    "a fraction without digits": f"{APP_ID}0.{STAMP}{HEX_UUID}1.0",
    "a fraction of 21 digits": f"{APP_ID}0.{'1' * 21}{STAMP}{HEX_UUID}1.0",
    "an exponent that JavaScript writes out": LEGACY.replace("0.8345021879311264", "8.345e-6"),
    "an exponent that Math.random has not": LEGACY.replace("0.8345021879311264", "8.345e-20"),
    "an exponent of three digits": LEGACY.replace("0.8345021879311264", "8.345e-107"),
    "a mantissa of two digits": LEGACY.replace("0.8345021879311264", "83.45e-7"),
    "a mantissa without digits after its point": LEGACY.replace("0.8345021879311264", "8.e-7"),
    "a mantissa of 19 digits": LEGACY.replace("0.8345021879311264", f"8.{'1' * 18}e-7"),
    "a legacy uuid without hyphens": LEGACY.replace(HEX_UUID, HEX_UUID.replace("-", "")),
    "a legacy uuid of six groups": LEGACY.replace(HEX_UUID, "3f0e9a52-8a1b-4e0f-9c37-9c37-0d5b8a7c6e21"),
    "the prefix twice": LEGACY.replace(HEX_UUID, "cms-cms-" + HEX_UUID),
    "a legacy msgId with a current uuid": f"{APP_ID}0.8345{STAMP}{UUID}1.0",
    "a current msgId with a legacy uuid": f"{APP_ID}{MSG_ID}{STAMP}{HEX_UUID}1.0",
    "the 30th of February": CURRENT.replace(STAMP, "20270230000000000"),
    "hour 24": CURRENT.replace(STAMP, "20261123240000000"),
    "second 60": CURRENT.replace(STAMP, "20261123115960000"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_presign_is_refused(text: str) -> None:
    assert text not in {CURRENT, LEGACY}

    reason = refusal(text)

    assert reason
    assert not text or text not in reason


@pytest.mark.parametrize("pre_sign", FORMS)
def test_two_readings_agree_on_every_text_that_is_one_character_away(pre_sign: str) -> None:
    for text in one_character_away(pre_sign):
        reason = refusal(text)
        assert (reason is None) == is_presign(text), text
        assert "calendar" not in (reason or "") or text.replace("-", "").replace(".", "").isalnum()


# The window.


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(hours=24), True),
        (timedelta(hours=24, milliseconds=1), False),
        (timedelta(hours=-24), True),
        (timedelta(hours=-24, milliseconds=-1), False),
    ],
)
def test_the_window_ends_to_the_millisecond(age: timedelta, accepted: bool) -> None:  # noqa: FBT001 - the table's last column
    pre_sign = CURRENT.replace(STAMP, format_timestamp(NOW - age))

    assert (refusal(pre_sign, GRAMMAR, NOW.astimezone(UTC)) is None) is accepted


@pytest.mark.parametrize("stamp", ["00010101000000000", "20210131235959123", "99991231235959999"])
def test_any_time_of_the_calendar_is_only_far_away(stamp: str) -> None:
    text = CURRENT.replace(STAMP, stamp)

    assert refusal(text) is None
    assert "too far from now" in (refusal(text, GRAMMAR) or "")


# What the same key signs beside preSigns.

VERIFICATION_STRINGS = st.builds(
    lambda msg_id, block, token: f"{APP_ID}{msg_id}{base64.b64encode(block).decode()}{STAMP}{token}1.0",
    st.one_of(st.uuids().map(str), st.uuids().map(lambda value: value.hex)),
    st.one_of(st.binary(min_size=128, max_size=128), st.binary(min_size=256, max_size=256)),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=64).map(lambda text: "VM_" + text),
)


@given(VERIFICATION_STRINGS)
def test_a_verification_request_is_never_signed_as_a_presign(signed: str) -> None:
    assert refusal(signed)


PHONE_NUM: Final = base64.b64encode(bytes(range(MIN_KEY_BITS // 8))).decode()
VERIFICATION: Final = {
    "our own": (APP_ID, HEX_UUID, PHONE_NUM, STAMP, "VM_0123456789ABCDEF", "1.0"),
    "in preSign's alphabets": (APP_ID, MSG_ID, "A" * 172, STAMP, "V" * 32, "1.0"),
    "of digits alone": (APP_ID, "9" * 32, "9" * 172, STAMP, "9" * 32, "1.0"),
}
FIELDS: Final = {
    "current": (APP_ID, MSG_ID, STAMP, UUID, "1.2"),
    "legacy": (APP_ID, "0.8345021879311264", STAMP, HEX_UUID, "1.0"),
    "legacy with an exponent": (APP_ID, "5.9e-7", STAMP, HEX_UUID, "1.0"),
    "legacy with its prefix": (APP_ID, "0.5", STAMP, f"cms-{HEX_UUID}", "1.0"),
}


def test_no_splice_of_a_presign_and_a_verification_request_is_signed() -> None:
    signed = "".join(VERIFICATION["our own"])
    past_the_shared_digits = len(APP_ID) + len(HEX_UUID.partition("-")[0])

    for at in range(past_the_shared_digits + 1, len(CURRENT)):
        assert refusal(signed[:at] + CURRENT[at:])
    past_the_shared_tail = len("_0123456789ABCDEF1.0")
    for at in range(len(CURRENT)):
        for end in range(past_the_shared_tail, len(signed)):
            assert refusal(CURRENT[:at] + signed[-end:])


@pytest.mark.parametrize("verification", VERIFICATION)
@pytest.mark.parametrize("form", FIELDS)
def test_no_verification_string_spliced_in_between_fields_is_signed(form: str, verification: str) -> None:
    pre_sign, other = FIELDS[form], VERIFICATION[verification]
    boundaries, cuts = range(len(pre_sign) + 1), range(len(other) + 1)
    assert refusal("".join(pre_sign)) is None

    for head, tail, start, end in product(boundaries, boundaries, cuts, cuts):
        middle = other[start:end]
        if not middle or set(middle) <= {APP_ID, STAMP, MSG_ID, "1.0"}:
            continue  # the fields that both have
        text = "".join((*pre_sign[:head], *middle, *pre_sign[tail:]))
        if refusal(text) is None:
            # Only a token of a uuid's form in a uuid's place: the whole is a preSign, and no verification.
            assert is_presign(text)
            assert len(text) < len(PHONE_NUM)


def test_whatever_is_signed_is_shorter_than_the_shortest_encrypted_number() -> None:
    longest = f"{APP_ID}0.{'1' * 20}{STAMP}cms-{HEX_UUID}1.0"

    assert refusal(longest) is None
    assert refusal(longest.replace("0.", "0.1", 1))
    assert max(map(len, (longest, CURRENT))) < len(PHONE_NUM), "there is room for a verification's phoneNum"
