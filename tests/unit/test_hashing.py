"""Keyed hashes: nothing of the text, nothing without the pepper, nothing across kinds."""

from verify.hashing import Salt, keyed_hash

PEPPER = b"a pepper of at least thirty-two bytes"
NUMBER = "13912345678"


def test_a_hash_of_today_is_a_hash_of_tomorrow() -> None:
    # What is in the table was written by an earlier version: another hash would forget what is spent.
    assert keyed_hash(PEPPER, Salt.NUMBER, NUMBER) == (
        "469064ca93bf456b32d7fa77af2a580ebd2b58bd0ba08ebe52b775a63fcaed28"
    )


def test_equal_texts_of_different_kinds_have_unrelated_hashes() -> None:
    assert len({keyed_hash(PEPPER, salt, NUMBER) for salt in Salt}) == len(Salt)
