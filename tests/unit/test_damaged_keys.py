"""Damaged private keys: whatever is wrong with one, it signs correctly or is refused.

The functions do not test a key's primes (see `cmpassport.keys`). So each kind of damage is tried here:
signatures must be the undamaged key's, or the key is a bad secret.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Final

import pytest
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.keys import KeyFormatError, load_private_key
from cmpassport.signing import SignatureScheme


@asn1.sequence
class Numbers:
    """PKCS#1's form (RFC 8017 appendix A.1.2), written whatever the numbers are, which no loader does."""

    version: int
    n: int
    e: int
    d: int
    p: int
    q: int
    dp: int
    dq: int
    qinv: int


Damage = Callable[[Numbers], Numbers]
NAMES: Final = ("n", "e", "d", "p", "q", "dp", "dq", "qinv")  # in their order in PKCS#1


def flipped(name: str, share: float) -> Damage:
    """Return the damage of one bit, at a share of the number's length from its lowest."""

    def flip(numbers: Numbers) -> Numbers:
        number = getattr(numbers, name)
        return replace(numbers, **{name: number ^ 1 << int(share * (number.bit_length() - 1))})

    return flip


def composite(numbers: Numbers) -> Numbers:
    """Return a key that is consistent in itself, but for one factor being no prime."""
    q = numbers.q
    for p in count(3 * (numbers.p // 3 | 1), 6):
        with suppress(ValueError):  # no inverse: the next composite
            d = pow(numbers.e, -1, (p - 1) * (q - 1))
            crt = {"dp": d % (p - 1), "dq": d % (q - 1), "qinv": pow(q, -1, p)}
            return replace(numbers, n=p * q, d=d, p=p, **crt)
    raise AssertionError


def kinds() -> Iterator[tuple[str, Damage]]:
    for name in NAMES:
        for share in (0, 0.01, 0.5, 0.99, 1):
            yield f"a bit in {name}, {share:.0%} from its lowest", flipped(name, share)
    yield "p and q swapped", lambda numbers: replace(numbers, p=numbers.q, q=numbers.p)
    yield "an even modulus", lambda numbers: replace(numbers, n=numbers.n + 1)
    yield "a composite prime", composite
    yield "two equal primes", lambda numbers: replace(numbers, p=numbers.q, n=numbers.q**2)
    yield "p and d", lambda numbers: flipped("p", 0.5)(flipped("d", 0.5)(numbers))
    yield "dp and d", lambda numbers: flipped("dp", 0.5)(flipped("d", 0.5)(numbers))
    for name in NAMES[2:]:
        yield f"{name} is 1", lambda numbers, name=name: replace(numbers, **{name: 1})  # type: ignore[misc]


DAMAGES: Final = dict(kinds())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_key_signs_correctly_or_is_refused(
    rsa_key: Callable[[int], RSAPrivateKey], damage: Damage
) -> None:
    good = rsa_key(2048)
    numbers = good.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    damaged = asn1.encode_der(damage(asn1.decode_der(Numbers, numbers)))
    try:
        key = load_private_key(base64.b64encode(damaged).decode())
    except KeyFormatError:
        return

    for message in ("", "a preSign", "3000000000002026" * 8):
        assert SignatureScheme().sign(key, message) == SignatureScheme().sign(good, message)
