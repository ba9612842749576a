"""The soak's audit finds what it is there for."""

from pathlib import Path

import pytest

from tests.soak.audit import (
    GROWTH,
    Call,
    growth,
    late_rotations,
    leaks,
    lost_attempts,
    over_limit,
    overcounted,
    sent_twice,
    wrong_verdicts,
)
from tests.soak.traffic import Answer, Story

SIM, OTHER, TOKEN = "13100000001", "13200000001", "VM_1"


LOGIN, REFUSE = ('{"verified": true, "action": "login"}', '{"verified": false, "action": "refuse"}')


def story(*codes: str, number: str = SIM, body: str = "") -> Story:
    told = [body or (LOGIN if code == "000" else REFUSE) for code in codes]
    return Story(
        SIM, TOKEN, [Answer(number, 200, code, text) for code, text in zip(codes, told, strict=True)]
    )


def call(code: str, msg_id: str = "m1", *, token: str = TOKEN, spoiled: bool = False) -> Call:
    return Call(token, msg_id, SIM, code, spoiled)


def test_true_verdicts_are_not_wrong() -> None:
    assert not list(wrong_verdicts([story("000", "000")], [call("000")]))
    assert not list(wrong_verdicts([story("001", number=OTHER)], [call("001")]))


@pytest.mark.parametrize(
    ("told", "calls"),
    [
        (story("000"), []),
        (story("000"), [call("001")]),
        (story("001"), [call("001")]),
        (story("000", number=OTHER), [call("000")]),
        (story("001", number=OTHER, body=LOGIN), [call("001")]),
        (story("000", body='{"verified": true, "action": "refuse"}'), [call("000")]),
    ],
    ids=[
        "never asked",
        "not what was answered",
        "the SIM's own number",
        "another number",
        "let in",
        "kept out",
    ],
)
def test_a_wrong_verdict_is_found(told: Story, calls: list[Call]) -> None:
    assert list(wrong_verdicts([told], calls))


def test_two_verdicts_for_one_token_are_found() -> None:
    twice = Story(SIM, TOKEN, [Answer(SIM, 200, "000", body) for body in (LOGIN, f"{LOGIN} ")])

    assert list(wrong_verdicts([twice], [call("000")]))


def test_a_token_that_was_sent_twice_is_found() -> None:
    assert list(sent_twice([call("000", "m1"), call("120020", "m2")]))
    assert not list(sent_twice([call("000", "m1"), call("000", "m2", token="VM_2")]))


def test_a_verdict_without_its_attempt_is_found() -> None:
    assert list(lost_attempts([call("000", spoiled=True)], {SIM: set()}))
    assert not list(lost_attempts([call("000"), call("120020", "m2")], {SIM: {"m1"}}))


def test_a_number_with_six_attempts_is_found() -> None:
    assert list(over_limit({SIM: set("abcdef")}))
    assert not list(over_limit({SIM: set("abcde")}))


def test_attempts_for_nothing_are_counted() -> None:
    calls = [call("000"), call("120020", "m2"), call("999999", "m3"), call("120020", "m4", spoiled=True)]

    assert overcounted(calls, {SIM: {"m1", "m3", "m4"}}) == 0
    assert overcounted(calls, {SIM: {"m1", "m2", "m5"}}) == 2


def test_a_rotation_that_is_noticed_late_is_found() -> None:
    assert not list(late_rotations([call("130018")] * 10, 2, 5))
    assert list(late_rotations([call("130018")] * 11, 2, 5))


def test_growth_is_that_of_long_lived_processes() -> None:
    grown = growth({1: [100] * 50 + [120] * 50, 2: [100] * 100, 3: [1, 2, 3]}, 100)

    assert {process: share > GROWTH for process, share in grown.items()} == {1: True, 2: False}


@pytest.mark.parametrize(
    "line", [f"number {SIM}", f'{{"x": "{SIM}"}}', "VM_madeup0123456789abcdef", f"VM_{'0' * 32}"]
)
def test_a_number_or_a_token_in_a_log_is_found(line: str, tmp_path: Path) -> None:
    log = tmp_path / "verify.log"
    log.write_text(
        "nothing, msgId 13100000-0001-4000-8000-131000000011, 7.13112345678 ms, requestId aVM_abcdefghijk=\n"
        f"{line}\n",
        encoding="utf-8",
    )

    assert len(list(leaks([log]))) == 1
