"""Damaged private keys: whatever is wrong with one, it signs correctly or is refused.

The functions do not test a key's primes (see `cmpassport.keys`). So each kind of damage is tried here:
signatures must be the undamaged key's, or the key is a bad secret.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.keys import KeyFormatError, load_private_key
from cmpassport.signing import SignatureScheme

Numbers = dict[str, int]
Damage = Callable[[Numbers], Numbers]


def numbers_of(key: RSAPrivateKey) -> Numbers:
    private = key.private_numbers()
    names = {"d": "d", "p": "p", "q": "q", "dp": "dmp1", "dq": "dmq1", "qinv": "iqmp"}
    numbers = {name: getattr(private, attribute) for name, attribute in names.items()}
    return {"n": private.public_numbers.n, "e": private.public_numbers.e, **numbers}


def text_of(numbers: Numbers) -> str:
    """Write PKCS#1 (RFC 8017 appendix A.1.2) whatever the numbers are, which no library does."""
    names = ("n", "e", "d", "p", "q", "dp", "dq", "qinv")
    integers = b"".join(_tagged(0x02, _bytes(numbers[name])) for name in names)
    return base64.b64encode(_tagged(0x30, _tagged(0x02, b"\0") + integers)).decode()


def _bytes(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1)


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = size.to_bytes(1 if size < 0x100 else 2)
    return bytes([tag]) + (length if size < 0x80 else bytes([0x80 | len(length)]) + length) + content


def flipped(name: str, share: float) -> Damage:
    """Return the damage of one bit, at a share of the number's length from its lowest."""

    def flip(numbers: Numbers) -> Numbers:
        bit = int(share * (numbers[name].bit_length() - 1))
        return {**numbers, name: numbers[name] ^ 1 << bit}

    return flip


def with_crt(numbers: Numbers, **changes: int) -> Numbers:
    """Return numbers whose CRT part follows from what was changed."""
    changed = {**numbers, **changes}
    p, q, d = changed["p"], changed["q"], changed["d"]
    return {**changed, "dp": d % (p - 1), "dq": d % (q - 1), "qinv": pow(q, -1, p)}


def composite(numbers: Numbers) -> Numbers:
    """Return a key that is consistent in itself, but for one factor being no prime."""
    q = numbers["q"]
    for p in count(3 * (numbers["p"] // 3 | 1), 6):
        with suppress(ValueError):  # no inverse: the next composite
            return with_crt({**numbers, "n": p * q}, p=p, d=pow(numbers["e"], -1, (p - 1) * (q - 1)))
    raise AssertionError


def kinds() -> Iterator[tuple[str, Damage]]:
    for name in ("n", "e", "d", "p", "q", "dp", "dq", "qinv"):
        for share in (0, 0.01, 0.5, 0.99, 1):
            yield f"a bit in {name}, {share:.0%} from its lowest", flipped(name, share)
    yield "p and q swapped", lambda numbers: {**numbers, "p": numbers["q"], "q": numbers["p"]}
    yield "an even modulus", lambda numbers: {**numbers, "n": numbers["n"] + 1}
    yield "a composite prime", composite
    yield "two equal primes", lambda numbers: {**numbers, "p": numbers["q"], "n": numbers["q"] ** 2}
    yield "p and d", lambda numbers: flipped("p", 0.5)(flipped("d", 0.5)(numbers))
    yield "dp and d", lambda numbers: flipped("dp", 0.5)(flipped("d", 0.5)(numbers))
    for name in ("d", "p", "q", "dp", "dq", "qinv"):
        yield f"{name} is 1", lambda numbers, name=name: {**numbers, name: 1}  # type: ignore[misc]


DAMAGES: Final = dict(kinds())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_key_signs_correctly_or_is_refused(
    rsa_key: Callable[[int], RSAPrivateKey], damage: Damage
) -> None:
    good = rsa_key(2048)
    try:
        key = load_private_key(text_of(damage(numbers_of(good))))
    except KeyFormatError:
        return

    for message in ("", "a preSign", "3000000000002026" * 8):
        assert SignatureScheme().sign(key, message) == SignatureScheme().sign(good, message)
