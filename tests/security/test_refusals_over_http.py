"""Refusals say what is wrong in words of this project alone: closed, parseable, and silent about the request.

Which key is wrong, and how, is the operator's to know: a caller cannot tell by an answer or by what was done.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local import ROOT
from local.keys import CustomerKeys
from local.stack import Options, Stack
from tests.integration.test_contract import ROWS, Row
from tests.security.recorder import Recorder, recorded
from tests.support.phone import Phone, Reply
from tests.support.stacks import client_of, embedded, phone_of

DESCRIBED: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())
SOURCES: Final = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers" / "crypto").rglob("*.py")]


def written_texts() -> set[str]:
    """Give every text that stands in the product's sources; of a formatted one, its parts."""
    return {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


WRITTEN: Final = written_texts()
# Formatted with limits and member names of the code.
FORMATTED: Final = (
    "The body has more than 16384 bytes. Send only the documented members.",
    "must be printable, at most 8192 characters",
    "only these members are known: preSign",
    "only these members are known: phoneNum, token, userInformation, expandParams, nonce",
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refusals") / "functions.log"


@pytest.fixture(scope="module")
def stack(log: Path) -> Iterator[Stack]:
    with embedded(Options(log=log)) as stack:
        yield stack


@pytest.fixture(scope="module")
def phone(stack: Stack) -> Phone:
    return phone_of(stack, sim="13655556666")


def is_closed(path: str, reply: Reply) -> None:
    """Check a refusal against the description, and its words against the sources."""
    response = DESCRIBED["paths"][path]["post"]["responses"][str(reply.status)]
    content = response["content"][reply.headers["Content-Type"]]
    document = reply.json
    jsonschema.validate(document, content["schema"], jsonschema.Draft202012Validator)
    words = [document["detail"], *(error["reason"] for error in document.get("errors", ()))]
    assert all(text in WRITTEN or text in FORMATTED for text in words), words


def same_for_all(reply: Reply) -> dict[str, Any]:
    """Give a refusal without what is each request's own."""
    document = reply.json
    del document["requestId"]
    return {"status": reply.status, **document}


OF_ONE_STACK: Final = [row for row in ROWS if row.stack == "stack" and "twice at once" not in row.name]


@pytest.mark.parametrize("row", OF_ONE_STACK, ids=lambda row: row.name)
def test_every_refusal_of_the_contract_is_closed(phone: Phone, row: Row) -> None:
    reply = row.provoke(phone)
    phone.clear_faults()  # not every row's is met

    is_closed("/presign" if "resign" in row.name.lower() else "/verify", reply)


# What cannot be in an answer by chance.
CANARIES: Final = st.text("QXZJKqxzjk~<>'&;$", min_size=12, max_size=40)
VALUES: Final = st.one_of(
    CANARIES,
    CANARIES.map(lambda text: [text]),
    CANARIES.map(lambda text: {text: text}),
    st.integers(10**11),
)
NAMES: Final = st.one_of(
    st.sampled_from(["preSign", "phoneNum", "token", "userInformation", "expandParams", "nonce"]), CANARIES
)
HEADERS: Final = st.fixed_dictionaries(
    {},
    optional={
        "Origin": CANARIES,
        "Content-Type": CANARIES.map(lambda text: f"application/{text}"),
        "X-Forwarded-For": CANARIES,
        "User-Agent": CANARIES,
    },
)


def texts_of(value: Any) -> Iterator[str]:
    """Give every text and number in JSON."""
    if isinstance(value, dict):
        for name, content in value.items():
            yield from (*texts_of(name), *texts_of(content))
    elif isinstance(value, list):
        for content in value:
            yield from texts_of(content)
    elif value is not None:
        yield str(value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/presign", "/verify"]), body=st.dictionaries(NAMES, VALUES), headers=HEADERS)
def test_no_refusal_repeats_anything_that_was_sent(
    phone: Phone, path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    reply = phone.post(path, body, headers=headers)

    assert 400 <= reply.status < 500
    is_closed(path, reply)
    known = {"preSign", "phoneNum", "token", "userInformation", "expandParams", "nonce"}
    sent = {*texts_of(body), *headers.values()} - known
    seen = reply.text + json.dumps(dict(reply.headers))
    assert not [text for text in sent if text in seen]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/presign", "/verify"]), data=st.binary(max_size=300))
def test_any_bytes_get_a_refusal_that_can_be_read(phone: Phone, path: str, data: bytes) -> None:
    reply = phone.post(path, data=data)

    assert 400 <= reply.status < 500
    is_closed(path, reply)


def test_nothing_of_it_was_logged(log: Path) -> None:
    # After the others of this file, whose canaries have three of these in a row sooner or later.
    assert "QXZ" not in log.read_text()


# Keys.


@pytest.fixture(scope="module")
def recorders(stack: Stack, log: Path) -> Iterator[dict[str, Recorder]]:
    with recorded(stack, log) as recorders:
        yield recorders


def test_a_bad_signature_and_a_bad_ciphertext_are_one_refusal_after_the_same_work(
    stack: Stack, recorders: dict[str, Recorder]
) -> None:
    phone = phone_of(stack, sim="13655557777")
    phone.verify(phone.sim, phone.ticket())  # whatever a first request does more
    seen = []
    for code in ("130018", "130016"):  # signature; decryption
        ticket = phone.ticket()
        phone.fault("resultCode", resultCode=code)
        recorders["VerifyFunction"].journal.clear()
        asked = len(phone.journal())
        document = same_for_all(phone.verify(phone.sim, ticket))
        assert document.pop("resultCode") == code  # the platform's own word, which the contract gives
        done = [call for call in recorders["VerifyFunction"].journal if "GetSecretValue" not in call]
        seen.append((document, done, len(phone.journal()) - asked))

    assert seen[0] == seen[1]


def broken_secrets() -> dict[str, tuple[str, str]]:
    """Give ways to break a secret: which, and with what text."""
    keys = CustomerKeys.fresh()
    signing = {
        "no JSON": "{",
        "no key": "{}",
        "garbage": json.dumps({"privateKey": "garbage"}),
        "cut off": json.dumps({"privateKey": keys.private_key[:-40]}),
        "the public half": json.dumps({"privateKey": keys.public_key}),
    }
    verification = {
        "no appKey": json.dumps({"platformPublicKey": keys.public_key}),
        "no platform key": json.dumps({"appKey": keys.app_key}),
        "a bad platform key": json.dumps({"appKey": keys.app_key, "platformPublicKey": "garbage"}),
        "the private half": json.dumps({"appKey": keys.app_key, "platformPublicKey": keys.private_key}),
    }
    return {
        **{f"signing: {name}": ("SIGNING_SECRET_ID", text) for name, text in signing.items()},
        **{f"verification: {name}": ("VERIFICATION_SECRET_ID", text) for name, text in verification.items()},
        "pepper: too short": ("PEPPER_SECRET_ID", "short"),
    }


def test_however_a_key_is_broken_the_refusal_is_the_same(stack: Stack, tmp_path: Path) -> None:
    phone = phone_of(stack, sim="13655558888")
    ticket = phone.ticket()
    client = client_of(stack, "secretsmanager")
    seen: dict[str, dict[str, Any]] = {}
    log = tmp_path / "functions.log"

    for name, (variable, text) in broken_secrets().items():
        secret = stack.secret_ids[variable]
        good = client.get_secret_value(SecretId=secret)["SecretString"]
        client.put_secret_value(SecretId=secret, SecretString=text)
        with recorded(stack, log):  # functions that have not read it yet
            seen[name] = same_for_all(phone.verify(phone.sim, ticket))
        client.put_secret_value(SecretId=secret, SecretString=good)

    assert len({json.dumps(document, sort_keys=True) for document in seen.values()}) == 1, seen
    assert next(iter(seen.values()))["code"] == "internal_error"
    assert "garbage" not in log.read_text()
    assert phone.verify(phone.sim, ticket).status == 200  # the token was not spent on any of it
