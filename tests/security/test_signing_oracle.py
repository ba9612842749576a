"""POST /presign is no signing oracle: no verification, whole or in pieces, is ever signed as a preSign.

What is accepted is read again by a second reader of the grammar.
"""

import base64
from datetime import UTC, datetime
from itertools import product
from typing import Final

import pytest

from cmpassport.keys import MIN_KEY_BITS
from presign.grammar import PreSignGrammar, PreSignRejectedError
from tests.fuzz.targets import APP_ID, is_presign
from tests.support.phone import new_pre_sign

GRAMMAR: Final = PreSignGrammar(APP_ID, None)
NOW: Final = datetime.now(UTC)
MSG_ID, STAMP, UUID, CURRENT = new_pre_sign(APP_ID)
HEX_UUID: Final = "3f0e9a52-8a1b-4e0f-9c37-0d5b8a7c6e21"
FIELDS: Final = {
    "current": (APP_ID, MSG_ID, STAMP, UUID, "1.2"),
    "legacy": (APP_ID, "0.8345021879311264", STAMP, HEX_UUID, "1.0"),
    "legacy with an exponent": (APP_ID, "5.9e-7", STAMP, HEX_UUID, "1.0"),
    "legacy with its prefix": (APP_ID, "0.5", STAMP, f"cms-{HEX_UUID}", "1.0"),
}
PHONE_NUM: Final = base64.b64encode(bytes(range(MIN_KEY_BITS // 8))).decode()
VERIFICATION: Final = {
    "our own": (APP_ID, HEX_UUID, PHONE_NUM, STAMP, "VM_0123456789ABCDEF", "1.0"),
    "in preSign's alphabets": (APP_ID, MSG_ID, "A" * 172, STAMP, "V" * 32, "1.0"),
    "of digits alone": (APP_ID, "9" * 32, "9" * 172, STAMP, "9" * 32, "1.0"),
}


def accepts(text: str) -> bool:
    try:
        GRAMMAR.check(text, NOW)
    except PreSignRejectedError:
        return False
    return True


@pytest.mark.parametrize("verification", VERIFICATION)
@pytest.mark.parametrize("form", FIELDS)
def test_no_verification_string_spliced_in_between_fields_is_signed(form: str, verification: str) -> None:
    pre_sign, other = FIELDS[form], VERIFICATION[verification]
    boundaries, cuts = range(len(pre_sign) + 1), range(len(other) + 1)
    assert accepts("".join(pre_sign))

    for head, tail, start, end in product(boundaries, boundaries, cuts, cuts):
        middle = other[start:end]
        if not middle or set(middle) <= {APP_ID, STAMP, MSG_ID, "1.0"}:
            continue  # the fields that both have
        text = "".join((*pre_sign[:head], *middle, *pre_sign[tail:]))
        if accepts(text):
            # Only a token of a uuid's form in a uuid's place: the whole is a preSign, and no verification.
            assert is_presign(text)
            assert len(text) < len(PHONE_NUM)


def test_whatever_is_signed_is_shorter_than_the_shortest_encrypted_number() -> None:
    longest = f"{APP_ID}0.{'1' * 20}{STAMP}cms-{HEX_UUID}1.0"

    assert accepts(longest)
    assert not accepts(longest.replace("0.", "0.1", 1))
    assert max(map(len, (longest, CURRENT))) < len(PHONE_NUM), "there is room for a verification's phoneNum"
