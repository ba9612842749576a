"""Keyed hashes: nothing of the text, nothing without the pepper, nothing across kinds."""

import hashlib
import hmac
from itertools import permutations

import pytest

from verify.hashing import Salt, keyed_hash

PEPPER = b"a pepper of at least thirty-two bytes"
NUMBER = "13912345678"


def test_a_hash_is_hmac_sha256_of_salt_and_text() -> None:
    expected = hmac.new(PEPPER, b"number\x0013912345678", hashlib.sha256).hexdigest()

    assert keyed_hash(PEPPER, Salt.NUMBER, NUMBER) == expected


def test_a_hash_of_today_is_a_hash_of_tomorrow() -> None:
    # What is in the table was written by an earlier version: another hash would forget what is spent.
    assert keyed_hash(PEPPER, Salt.NUMBER, NUMBER) == (
        "469064ca93bf456b32d7fa77af2a580ebd2b58bd0ba08ebe52b775a63fcaed28"
    )


@pytest.mark.parametrize(("one", "other"), list(permutations(Salt, 2)))
def test_equal_texts_of_different_kinds_have_unrelated_hashes(one: Salt, other: Salt) -> None:
    assert keyed_hash(PEPPER, one, NUMBER) != keyed_hash(PEPPER, other, NUMBER)
