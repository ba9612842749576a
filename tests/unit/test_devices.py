"""Known devices: recognised for their number and their time, and worth nothing in any other form."""

import base64
from datetime import datetime, timedelta
from typing import Final

import pytest

from cmpassport.clock import SHANGHAI
from verify.devices import Devices

PEPPER: Final = b"p" * 64
NUMBER: Final = "a" * 64
SEED: Final = "5e" * 32
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)
DEVICES: Final = Devices(90)


def issue(devices: Devices = DEVICES, device: str | None = None) -> str:
    text = devices.issue(PEPPER, NUMBER, SEED, device, NOON)
    assert text is not None
    return text


def test_a_device_is_recognised_by_its_identifier_in_an_opaque_text() -> None:
    assert issue() == issue()
    assert len(base64.urlsafe_b64decode(issue())) == 33
    assert DEVICES.recognise(PEPPER, NUMBER, issue(), NOON) == SEED[:28]
    renewed = issue(device="0f" * 14)
    assert DEVICES.recognise(PEPPER, NUMBER, renewed, NOON) == "0f" * 14


@pytest.mark.parametrize(("days", "known"), [(-1, False), (0, True), (89, True), (90, False)])
def test_a_device_is_known_for_its_days(days: int, known: bool) -> None:  # noqa: FBT001 - the table's last column
    found = DEVICES.recognise(PEPPER, NUMBER, issue(), NOON + timedelta(days=days))

    assert (found is not None) is known


def changed(index: int) -> str:
    data = bytearray(base64.urlsafe_b64decode(issue()))
    data[index] ^= 1
    return base64.urlsafe_b64encode(data).decode()


OTHERS: Final[dict[str, tuple[bytes, str, str | None]]] = {
    "another pepper": (b"q" * 64, NUMBER, issue()),
    "another number": (PEPPER, "b" * 64, issue()),
    **{f"byte {index}": (PEPPER, NUMBER, changed(index)) for index in range(33)},
    **{
        f"the text {text!r}": (PEPPER, NUMBER, text)
        for text in (None, "", "A" * 43, "A" * 44, "号", "\ud800", f"{issue()}!")
    },
}


@pytest.mark.parametrize(("pepper", "number", "text"), OTHERS.values(), ids=OTHERS)
def test_any_other_text_is_as_none(pepper: bytes, number: str, text: str | None) -> None:
    assert DEVICES.recognise(pepper, number, text, NOON) is None


def test_where_devices_are_off_none_is_issued_or_recognised() -> None:
    off = Devices(0)

    assert off.issue(PEPPER, NUMBER, SEED, None, NOON) is None
    assert off.recognise(PEPPER, NUMBER, issue(), NOON) is None
