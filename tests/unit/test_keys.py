"""Keys: every form in which customers hold them, and every refusal with a reason of its own."""

import base64
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key

VECTORS: Final = Path(__file__).parents[1] / "vectors"
ARMOUR: Final = "PRIVATE KEY-----"
Load = Callable[[str], object]

PRIVATE: Final = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
PUBLIC: Final = (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
SPKI, PKCS8, PKCS1 = PublicFormat.SubjectPublicKeyInfo, PrivateFormat.PKCS8, PublicFormat.PKCS1
PEM, DER = Encoding.PEM, Encoding.DER


# What is accepted.


def written(
    key: Any,
    form: PrivateFormat | PublicFormat,
    encoding: Encoding = PEM,
    how: KeySerializationEncryption | None = None,
) -> str:
    """Write a key, or its public half where the form is a public one's: PEM, or DER in bare Base64."""
    if isinstance(form, PrivateFormat):
        data = key.private_bytes(encoding, form, how or NoEncryption())
    else:
        data = key.public_key().public_bytes(encoding, form)
    return base64.b64encode(data).decode() if encoding is DER else data.decode()


# Ways in which a key is written down; what is said of each is in tests/unit/test_tools_texts.py.
WAYS: Final[dict[str, tuple[Encoding, Callable[[str], str]]]] = {
    "PEM": (PEM, str),
    "PEM with spaces around": (PEM, "\n\n  {}\n ".format),
    "bare Base64": (DER, str),
    "bare Base64 over lines": (DER, lambda text: base64.encodebytes(base64.b64decode(text)).decode()),
    r"PEM with \n": (PEM, lambda text: text.replace("\n", r"\n")),
    r"PEM with \r\n": (PEM, lambda text: text.replace("\n", r"\r\n")),
    r"PEM with \r": (PEM, lambda text: text.replace("\n", r"\r")),
    r"PEM with \\n": (PEM, lambda text: text.replace("\n", r"\\n")),
    r"bare Base64 with PHP's \/": (DER, lambda text: text.replace("/", r"\/")),
    r"bare Base64 with \\\/": (DER, lambda text: text.replace("/", r"\\\/")),
}


@pytest.mark.parametrize("form", [*PRIVATE, *PUBLIC])
@pytest.mark.parametrize(("encoding", "way"), WAYS.values(), ids=WAYS)
def test_a_key_is_read_however_it_is_written_down(
    rsa_key: Callable[[int], RSAPrivateKey], form: Any, encoding: Encoding, way: Callable[[str], str]
) -> None:
    key = rsa_key(1024)
    text = way(written(key, form, encoding))

    if form in PRIVATE:
        assert load_private_key(text).private_numbers() == key.private_numbers()
    else:
        assert load_public_key(text).public_numbers() == key.public_key().public_numbers()


# What is refused, and what the operator is told.


def _pem(name: str) -> str:
    return (VECTORS / name).read_text()


KEY: Final = load_pem_private_key(_pem("rsa-2048.pem").encode(), password=None)
SMALL: Final = load_pem_private_key(_pem("rsa-512.pem").encode(), password=None)
LOCK: Final = BestAvailableEncryption(b"a passphrase")
CURVE: Final = ec.generate_private_key(ec.SECP256R1())
EDWARDS: Final = ed25519.Ed25519PrivateKey.generate()
TOO_SMALL: Final = "has 512 bits; 1024 to 8192 are accepted"


NO_PRIVATE_KEY: Final = {
    "a public key": (written(KEY, SPKI), "this is a public key"),
    "a PKCS#1 public key": (written(KEY, PKCS1), "this is a public key"),
    "a public key in Base64": (written(KEY, SPKI, DER), "this is a public key"),
    "a certificate": (_pem("certificate.pem"), "this is a certificate; the private key is wanted"),
    "PKCS#8 with a passphrase": (written(KEY, PKCS8, PEM, LOCK), "has a passphrase"),
    "PKCS#8 with a passphrase in Base64": (written(KEY, PKCS8, DER, LOCK), "has a passphrase"),
    "PKCS#1 with a passphrase": (written(KEY, PRIVATE[1], PEM, LOCK), "has a passphrase"),
    "another kind": (written(CURVE, PKCS8), "the private key is not an RSA key"),
    "512 bits": (_pem("rsa-512.pem"), TOO_SMALL),
    "Base64 cut off": (written(KEY, PKCS8, DER)[:400], "not an RSA private key"),
    "PEM cut off": (written(KEY, PKCS8)[:400], "not an RSA private key"),
    "no Base64": ("not a key!", "neither PEM nor Base64"),
    "letters beyond ASCII": ("密钥", "neither PEM nor Base64"),
    "armour around nothing": (f"-----BEGIN {ARMOUR}\n-----END {ARMOUR}", "not an RSA private key"),
    "half a surrogate pair": (written(KEY, PKCS8).replace("M", "\ud800"), "not an RSA private key"),
    "nothing": (" \n", "not an RSA private key"),
    "two private keys": (written(KEY, PKCS8) + written(CURVE, PKCS8), "more than one key"),
}
NO_PUBLIC_KEY: Final = {
    "a private key": (written(KEY, PKCS8), "this is a private key"),
    "a private key in Base64": (written(KEY, PKCS8, DER), "this is a private key"),
    "a PKCS#1 private key in Base64": (written(KEY, PRIVATE[1], DER), "this is a private key"),
    "a certificate": (_pem("certificate.pem"), "this is a certificate; the public key alone is wanted"),
    "another kind": (written(EDWARDS, SPKI), "the public key is not an RSA key"),
    "a pair": (written(KEY, SPKI) + written(KEY, PKCS8), "this is a private key"),
    "two public keys": (written(KEY, SPKI) + written(SMALL, SPKI), "more than one key"),
    "Base64 cut off": (written(KEY, SPKI, DER)[:200], "not an RSA public key"),
    "512 bits": (written(SMALL, SPKI), TOO_SMALL),
    "no Base64": ("not a key!", "neither PEM nor Base64"),
}


@pytest.mark.parametrize(
    ("load", "text", "reason"),
    [
        *((load_private_key, *row) for row in NO_PRIVATE_KEY.values()),
        *((load_public_key, *row) for row in NO_PUBLIC_KEY.values()),
    ],
    ids=[*NO_PRIVATE_KEY, *(f"{name} for a public one" for name in NO_PUBLIC_KEY)],
)
def test_what_is_no_such_key_is_refused_with_the_reason_and_shows_nothing(
    load: Load, text: str, reason: str
) -> None:
    with pytest.raises(KeyFormatError, match=re.escape(reason)) as refusal:
        load(text)

    shown = "".join(traceback.format_exception(refusal.value, chain=True))
    assert not [piece for piece in re.findall(r"[A-Za-z0-9+/]{16}", text) if piece in shown]
    assert "direct cause" not in shown
    assert "another exception occurred" not in shown


@pytest.mark.parametrize(
    ("form", "label"),
    [
        (PRIVATE[1], "PRIVATE KEY"),
        *((PKCS8, f"{kind} KEY") for kind in ("RSA PRIVATE", "ENCRYPTED PRIVATE", "PUBLIC")),
        (PKCS8, "CERTIFICATE"),
    ],
)
def test_a_pem_is_read_by_what_it_holds_where_its_label_names_another_form(
    form: PrivateFormat, label: str
) -> None:
    labelled = re.sub("(BEGIN|END) .*-----", rf"\1 {label}-----", written(KEY, form))

    assert written(load_private_key(labelled), PKCS8) == written(KEY, PKCS8)
