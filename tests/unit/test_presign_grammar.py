"""The closed grammar of preSign: the real forms are signed, and nothing else ever is."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpassport.clock import SHANGHAI
from presign.grammar import PreSignGrammar, PreSignRejectedError

APP_ID: Final = "000340"
NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
STAMP: Final = "20261123115959999"
MSG_ID: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
UUID: Final = "VUTSRQPONMLKJIHGFEDCBA9876543210"
HEX_UUID: Final = "3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21"
CURRENT: Final = f"{APP_ID}{MSG_ID}{STAMP}{UUID}1.2"
LEGACY: Final = f"{APP_ID}0.8345021879311264{STAMP}{HEX_UUID}1.0"

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
        CURRENT,
        CURRENT[:-3] + "1.0",
        f"{APP_ID}{'0' * 32}{STAMP}{'V' * 32}1.2",
        f"{APP_ID}{'9' * 32}{STAMP}{'9' * 32}1.2",  # digits alone: where the timestamp stands decides
        LEGACY,
        LEGACY[:-3] + "1.2",
        f"{APP_ID}0.8345021879311264{STAMP}cms-{HEX_UUID}1.0",
        f"{APP_ID}0.5{STAMP}{HEX_UUID}1.0",
        f"{APP_ID}0.{'1' * 20}{STAMP}{HEX_UUID}1.0",
        f"{APP_ID}5.9e-7{STAMP}{HEX_UUID}1.0",  # what JavaScript makes of a small one
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
    "another appId": "000341" + CURRENT[6:],
    "an appId that begins with ours": APP_ID + "1" + CURRENT[6:],
    "an appId that ours begins with": CURRENT[6:].join(("00034", "")),
    "version 1.20": CURRENT + "0",
    "no version": CURRENT[:-3],
    "a line break after it": CURRENT + "\n",
    "text after it": CURRENT + "1.2",
    "text before it": "x" + CURRENT,
    "Arabic digits in the timestamp": CURRENT.replace(STAMP, STAMP.replace("2", "٢")),
    "a long s": LEGACY.replace("cms-", "cmſ-").replace(HEX_UUID, "cmſ-" + HEX_UUID),
    "a Kelvin sign": CURRENT.replace("K", "\u212a", 1),
    "a combining mark": CURRENT + "\u0301",
    "half a surrogate pair": CURRENT[:20] + "\ud800" + CURRENT[21:],
    "a fraction without digits": f"{APP_ID}0.{STAMP}{HEX_UUID}1.0",
    "a fraction of 21 digits": f"{APP_ID}0.{'1' * 21}{STAMP}{HEX_UUID}1.0",
    "an exponent that JavaScript writes out": LEGACY.replace("0.8345021879311264", "8.345e-6"),
    "an exponent that Math.random has not": LEGACY.replace("0.8345021879311264", "8.345e-20"),
    "an exponent of three digits": LEGACY.replace("0.8345021879311264", "8.345e-107"),
    "a mantissa of two digits": LEGACY.replace("0.8345021879311264", "83.45e-7"),
    "a mantissa without digits after its point": LEGACY.replace("0.8345021879311264", "8.e-7"),
    "a mantissa of 19 digits": LEGACY.replace("0.8345021879311264", f"8.{'1' * 18}e-7"),
    "a legacy uuid without hyphens": LEGACY.replace(HEX_UUID, HEX_UUID.replace("-", "")),
    "the prefix twice": LEGACY.replace(HEX_UUID, "cms-cms-" + HEX_UUID),
    "a legacy msgId with a current uuid": f"{APP_ID}0.8345{STAMP}{UUID}1.0",
    "a current msgId with a legacy uuid": f"{APP_ID}{MSG_ID}{STAMP}{HEX_UUID}1.0",
    "the 30th of February": CURRENT.replace(STAMP, "20270230000000000"),
    "hour 24": CURRENT.replace(STAMP, "20261123240000000"),
    "month 13": CURRENT.replace(STAMP, "20261323000000000"),
    "second 60": CURRENT.replace(STAMP, "20261123115960000"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_presign_is_refused(text: str) -> None:
    assert text not in {CURRENT, LEGACY}

    reason = refusal(text)

    assert reason
    assert not text or text not in reason


# Each character of each form, replaced by every other: what is accepted is the alphabet of its place.

CHARACTERS: Final = "".join(map(chr, range(0x20, 0x180)))
PLACES: Final = {"d": "0123456789", "h": "0123456789abcdef", "V": "0123456789ABCDEFGHIJKLMNOPQRSTUV"}
SMALL: Final = f"{APP_ID}5.9e-7{STAMP}{HEX_UUID}1.0"
FORMS: Final = {
    CURRENT: f"{APP_ID}{'V' * 32}{'d' * 17}{'V' * 32}1.*",
    LEGACY: f"{APP_ID}*.{'d' * 16}{'d' * 17}{'h' * 8}-{'h' * 4}-{'h' * 4}-{'h' * 4}-{'h' * 12}1.*",
    SMALL: f"{APP_ID}*.*e-*{'d' * 17}{'h' * 8}-{'h' * 4}-{'h' * 4}-{'h' * 4}-{'h' * 12}1.*",
}
CHOICES: Final = {CURRENT: ["02"], LEGACY: ["0", "02"], SMALL: ["123456789", "0123456789", "789", "02"]}


def _has_the_form(text: str) -> bool:
    return "calendar" in (refusal(text) or "calendar")


@pytest.mark.parametrize("pre_sign", FORMS)
def test_each_place_has_its_alphabet(pre_sign: str) -> None:
    choices = iter(CHOICES[pre_sign])
    for place, kind in enumerate(FORMS[pre_sign]):
        allowed = PLACES.get(kind) or (next(choices) if kind == "*" else kind)
        head, tail = pre_sign[:place], pre_sign[place + 1 :]

        accepted = {character for character in CHARACTERS if _has_the_form(head + character + tail)}

        assert accepted == set(allowed), place


@pytest.mark.parametrize("pre_sign", [CURRENT, SMALL])
def test_each_part_has_its_length(pre_sign: str) -> None:
    for place in range(len(pre_sign)):
        assert not _has_the_form(pre_sign[:place] + pre_sign[place + 1 :])
        if pre_sign is CURRENT:
            assert not _has_the_form(pre_sign[:place] + pre_sign[place] + pre_sign[place:])


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
    moment = NOW - age
    pre_sign = CURRENT.replace(STAMP, f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}")

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


SIGNED: Final = (
    f"{APP_ID}{HEX_UUID}{base64.b64encode(bytes(range(128))).decode()}{STAMP}VM_0123456789ABCDEF1.0"
)


def test_no_splice_of_a_presign_and_a_verification_request_is_signed() -> None:
    past_the_shared_digits = len(APP_ID) + len(HEX_UUID.partition("-")[0])

    for at in range(past_the_shared_digits + 1, len(CURRENT)):
        assert refusal(SIGNED[:at] + CURRENT[at:])
    past_the_shared_tail = len("_0123456789ABCDEF1.0")
    for at in range(len(CURRENT)):
        for end in range(past_the_shared_tail, len(SIGNED)):
            assert refusal(CURRENT[:at] + SIGNED[-end:])
