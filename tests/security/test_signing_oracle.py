"""POST /presign is no signing oracle: whatever is sent, only a whole preSign of this appId is ever signed.

The handler itself is asked, with a real key; what it signs is read again by a second reader of the grammar,
and the signature is checked to be over the very text that was sent.
"""

import base64
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpassport.keys import MIN_KEY_BITS
from cmpassport.signing import SignatureScheme
from tests.fuzz.targets import APP_ID, is_presign
from tests.support.phone import new_pre_sign
from tests.support.signatures import verify

ORIGIN: Final = "https://www.example.com"
Ask = Callable[[str | bytes], dict[str, Any]]

MSG_ID, STAMP, UUID, CURRENT = new_pre_sign(APP_ID)
HEX_UUID: Final = "3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21"
FIELDS: Final = {
    "current": (APP_ID, MSG_ID, STAMP, UUID, "1.2"),
    "legacy": (APP_ID, "0.8345021879311264", STAMP, HEX_UUID, "1.0"),
    "legacy with an exponent": (APP_ID, "5.9e-7", STAMP, HEX_UUID, "1.0"),
    "legacy with its prefix": (APP_ID, "0.5", STAMP, f"cms-{HEX_UUID}", "1.0"),
}
PHONE_NUM: Final = base64.b64encode(bytes(range(128))).decode()
VERIFICATION: Final = {
    "our own": (APP_ID, HEX_UUID, PHONE_NUM, STAMP, "VM_0123456789ABCDEF", "1.0"),
    "in preSign's alphabets": (APP_ID, MSG_ID, "A" * 172, STAMP, "V" * 32, "1.0"),
    "of digits alone": (APP_ID, "9" * 32, "9" * 172, STAMP, "9" * 32, "1.0"),
}
# The next ones to the alphabets, look-alikes, and what a reader may skip.
HOSTILE: Final = (
    "/:@[`{-_+=%~WGgvV"
    "\u0661\u0967\uff11\U0001d7cf\xb9\uff21\u0410\u0392\u212a\u017f\uff0e\xb7\u2011"
    "\n\r\u2028\0\t \x7f\x85\xad\u200b\u202e\ufeff\u0301\ud800"
)


@pytest.fixture(scope="module")
def ask(rsa_key: Callable[[int], RSAPrivateKey]) -> Iterator[Ask]:
    """Return what sends a preSign, or a whole body, to the handler; any signature is checked on the way."""
    key = rsa_key(MIN_KEY_BITS)
    environment = {"APP_ID": APP_ID, "ALLOWED_ORIGINS": ORIGIN, "SIGNING_SECRET_ID": "signing"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.delitem(sys.modules, "presign.app", raising=False)
        module = importlib.import_module("presign.app")
        patch.setattr(module, "_key", type("Key", (), {"get": staticmethod(lambda: key)}))

        def ask(sent: str | bytes) -> dict[str, Any]:
            body = json.dumps({"preSign": sent}).encode() if isinstance(sent, str) else sent
            event = {
                "headers": {"origin": ORIGIN, "content-type": "application/json"},
                "body": base64.b64encode(body).decode(),
                "isBase64Encoded": True,
            }
            response = module.handler(event, None)
            answer: dict[str, Any] = json.loads(response["body"])
            if response["statusCode"] == 200:
                signed = json.loads(body)["preSign"]
                assert is_presign(signed), "what is no preSign was signed"
                verify(SignatureScheme(), key.public_key(), signed, answer["sign"])
            else:
                assert (response["statusCode"], answer["action"]) == (400, "fix_request")
                assert "sign" not in answer
            return answer

        yield ask
        patch.delitem(sys.modules, "presign.app")


@pytest.mark.parametrize("form", FIELDS)
def test_a_presign_itself_is_signed(ask: Ask, form: str) -> None:
    assert "sign" in ask("".join(FIELDS[form]))


@pytest.mark.parametrize("verification", VERIFICATION)
@pytest.mark.parametrize("form", FIELDS)
def test_no_verification_string_spliced_in_between_fields_is_signed(
    ask: Ask, form: str, verification: str
) -> None:
    pre_sign, other = FIELDS[form], VERIFICATION[verification]
    boundaries, cuts = range(len(pre_sign) + 1), range(len(other) + 1)

    for head, tail, start, end in product(boundaries, boundaries, cuts, cuts):
        middle = other[start:end]
        if not middle or set(middle) <= {APP_ID, STAMP, MSG_ID, "1.0"}:
            continue  # the fields that both have
        text = "".join((*pre_sign[:head], *middle, *pre_sign[tail:]))
        if not is_presign(text):
            assert "sign" not in ask(text)
        else:
            # Only a token of a uuid's form in a uuid's place: the whole is a preSign, and no verification.
            assert len(text) < len(PHONE_NUM)


def test_whatever_is_signed_is_shorter_than_the_shortest_encrypted_number(ask: Ask) -> None:
    longest = f"{APP_ID}0.{'1' * 20}{STAMP}cms-{HEX_UUID}1.0"
    assert "sign" in ask(longest)
    assert "sign" not in ask(longest.replace("0.", "0.1", 1))

    bounds = len(max((longest, CURRENT), key=len)), len(base64.b64encode(bytes(MIN_KEY_BITS // 8)))

    assert bounds[0] < bounds[1], "a signed text has no room for a verification's phoneNum"


PIECES: Final = st.one_of(
    st.sampled_from([field for fields in (*FIELDS.values(), *VERIFICATION.values()) for field in fields]),
    st.sampled_from(HOSTILE),
    st.text("0123456789ABCDEFUVabcf.-_+/=", max_size=4),
    st.text(max_size=2),
)


@settings(max_examples=500)
@given(st.sampled_from(list(FIELDS.values())), st.data())
def test_whatever_is_made_of_the_pieces_is_signed_only_if_it_is_a_presign(
    ask: Ask, fields: tuple[str, ...], data: st.DataObject
) -> None:
    parts = list(fields)
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(parts)))
        parts[start : start + data.draw(st.integers(0, 1))] = data.draw(st.lists(PIECES, max_size=2))
    text = "".join(parts)

    assert is_presign(text) or "sign" not in ask(text)
    if text in map("".join, FIELDS.values()):
        assert "sign" in ask(text)
