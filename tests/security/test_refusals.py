"""Refusals say what is wrong and nothing of what was sent: neither in the answer nor in the log."""

import base64
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.environment import Function
from tests.support.functions import ORIGIN, VERIFY_ENVIRONMENT
from tests.support.in_process import InProcess

MEMBERS: Final = ("preSign", "phoneNum", "token", "userInformation", "expandParams", "nonce", "device")
# What cannot be in an answer by chance.
ALPHABET: Final = "QXZJKqxzjk~<>'&;$"
CANARIES: Final = st.text(ALPHABET, min_size=12, max_size=40)
VALUES: Final = st.one_of(
    CANARIES, CANARIES.map(lambda text: [text]), CANARIES.map(lambda text: {text: text}), st.integers(10**11)
)
BODIES: Final = st.dictionaries(st.one_of(st.sampled_from(MEMBERS), CANARIES), VALUES)
TYPES: Final = CANARIES.map(lambda text: f"application/{text}")
OTHERS: Final = dict.fromkeys(("origin", "x-forwarded-for", "user-agent"), CANARIES)
HEADERS: Final = st.fixed_dictionaries({}, optional={**OTHERS, "content-type": TYPES})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refusals") / "functions.log"


@pytest.fixture(scope="module", params=["presign", "verify"])
def function(request: pytest.FixtureRequest, log: Path) -> InProcess:
    """A function that reaches neither AWS nor the platform: what is refused here is refused before."""
    return InProcess(
        Function(request.param, "arn", f"{request.param}.app.handler", VERIFY_ENVIRONMENT, (), 20), log
    )


@settings(max_examples=200)
@given(body=BODIES, headers=HEADERS)
def test_a_refusal_repeats_nothing_that_was_sent(
    function: InProcess, body: dict[str, Any], headers: dict[str, str]
) -> None:
    told = {"origin": ORIGIN, "content-type": "application/json", **headers}
    text = base64.b64encode(json.dumps(body).encode()).decode()
    answer = function.invoke({"headers": told, "body": text, "isBase64Encoded": True}, "id")
    answered = json.dumps(answer, ensure_ascii=False)

    assert 400 <= answer["statusCode"] < 500
    assert {"type", "title", "status", "detail", "code", "action"} <= json.loads(answer["body"]).keys()
    sent = re.findall(f"[{ALPHABET}]{{12,}}|[0-9]{{12,}}", json.dumps([body, headers]))
    assert not [text for text in sent if text in answered]


def test_nothing_of_it_was_logged(log: Path) -> None:
    # After the others of this file, whose canaries have three of these in a row sooner or later.
    assert "QXZ" not in log.read_text()
