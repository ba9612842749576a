"""Keys: every form in which customers hold them, and every refusal with a reason of its own."""

import base64
import re
import traceback
from collections.abc import Callable
from pathlib import Path

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

VECTORS = Path(__file__).parents[1] / "vectors"
BITS = (1024, 2048, 4096)

# Forms of one key, each from its DER or PEM as OpenSSL would write it.
FORMS: dict[str, Callable[[bytes], str]] = {
    "bare Base64": lambda der: base64.b64encode(der).decode(),
    "bare Base64 over lines": lambda der: base64.encodebytes(der).decode(),
    "bare Base64 over lines of Windows": lambda der: base64.encodebytes(der).decode().replace("\n", "\r\n"),
    "bare Base64 with spaces around": lambda der: f"  \n{base64.b64encode(der).decode()}\n\n",
}


def private(key: RSAPrivateKey, form: PrivateFormat, encoding: Encoding = Encoding.DER) -> bytes:
    return key.private_bytes(encoding, form, NoEncryption())


def public(key: RSAPrivateKey, form: PublicFormat, encoding: Encoding = Encoding.DER) -> bytes:
    return key.public_key().public_bytes(encoding, form)


def encrypted(form: PrivateFormat, encoding: Encoding, how: KeySerializationEncryption | None = None) -> str:
    key = load_pem_private_key((VECTORS / "rsa-1024.pem").read_bytes(), password=None)
    data = key.private_bytes(encoding, form, how or BestAvailableEncryption(b"a passphrase"))
    return base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode()


# What is accepted.


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_a_private_key_in_bare_base64_is_accepted(
    rsa_key: Callable[[int], RSAPrivateKey], bits: int, form: PrivateFormat, write: Callable[[bytes], str]
) -> None:
    key = rsa_key(bits)

    loaded = load_private_key(write(private(key, form)))

    assert loaded.private_numbers() == key.private_numbers()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("around", ["{}", "\n\n  {}\n "])
def test_a_private_key_in_pem_is_accepted(
    rsa_key: Callable[[int], RSAPrivateKey], bits: int, form: PrivateFormat, around: str
) -> None:
    key = rsa_key(bits)

    loaded = load_private_key(around.format(private(key, form, Encoding.PEM).decode()))

    assert loaded.private_numbers() == key.private_numbers()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_a_public_key_in_bare_base64_is_accepted(
    rsa_key: Callable[[int], RSAPrivateKey], bits: int, form: PublicFormat, write: Callable[[bytes], str]
) -> None:
    key = rsa_key(bits)

    loaded = load_public_key(write(public(key, form)))

    assert loaded.public_numbers() == key.public_key().public_numbers()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a_public_key_in_pem_is_accepted(
    rsa_key: Callable[[int], RSAPrivateKey], bits: int, form: PublicFormat
) -> None:
    key = rsa_key(bits)

    loaded = load_public_key(public(key, form, Encoding.PEM).decode())

    assert loaded.public_numbers() == key.public_key().public_numbers()


# What is refused, and what the operator is told.


def _bare(name: str) -> str:
    return "".join((VECTORS / name).read_text().splitlines()[1:-1])


def _pem(name: str) -> str:
    return (VECTORS / name).read_text()


def _public_half(form: PublicFormat, encoding: Encoding) -> str:
    key = load_pem_private_key((VECTORS / "rsa-2048.pem").read_bytes(), password=None)
    data = key.public_key().public_bytes(encoding, form)
    return base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode()


def _pkcs1(encoding: Encoding) -> str:
    key = load_pem_private_key((VECTORS / "rsa-2048.pem").read_bytes(), password=None)
    data = key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode()


def _other_key(encoding: Encoding) -> str:
    data = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        encoding, PrivateFormat.PKCS8, NoEncryption()
    )
    return base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode()


def _other_public_key(encoding: Encoding) -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    data = key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode()


PRIVATE_REFUSALS = {
    "a public key in PEM": (
        lambda: _public_half(PublicFormat.SubjectPublicKeyInfo, Encoding.PEM),
        "this is a public key",
    ),
    "a PKCS#1 public key in PEM": (
        lambda: _public_half(PublicFormat.PKCS1, Encoding.PEM),
        "this is a public key",
    ),
    "a public key in bare Base64": (
        lambda: _public_half(PublicFormat.SubjectPublicKeyInfo, Encoding.DER),
        "this is a public key",
    ),
    "a PKCS#1 public key in bare Base64": (
        lambda: _public_half(PublicFormat.PKCS1, Encoding.DER),
        "this is a public key",
    ),
    "a certificate in PEM": (lambda: _pem("certificate.pem"), "this is a certificate"),
    "PKCS#8 with a passphrase in PEM": (
        lambda: encrypted(PrivateFormat.PKCS8, Encoding.PEM),
        "has a passphrase",
    ),
    "PKCS#8 with a passphrase in bare Base64": (
        lambda: encrypted(PrivateFormat.PKCS8, Encoding.DER),
        "has a passphrase",
    ),
    "PKCS#1 with a passphrase": (
        lambda: encrypted(PrivateFormat.TraditionalOpenSSL, Encoding.PEM),
        "has a passphrase",
    ),
    "another kind of key in PEM": (lambda: _other_key(Encoding.PEM), "not an RSA key"),
    "another kind of key in bare Base64": (lambda: _other_key(Encoding.DER), "not an RSA key"),
    "512 bits": (lambda: _pem("rsa-512.pem"), "has 512 bits; 1024 to 8192 are accepted"),
    "bare Base64 cut off": (lambda: _bare("rsa-2048.pem")[:400], "not an RSA private key"),
    "PEM cut off": (lambda: _pem("rsa-2048.pem")[:400], "not an RSA private key"),
    "no Base64": (lambda: "not a key!", "neither PEM nor Base64"),
    "letters beyond ASCII": (lambda: "密钥", "neither PEM nor Base64"),
    "PEM armour around nothing": (
        lambda: "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "not an RSA private key",
    ),
    "PEM with letters beyond ASCII": (
        lambda: _pem("rsa-2048.pem").replace("M", "号"),
        "not an RSA private key",
    ),
    "PEM with half a surrogate pair": (
        lambda: _pem("rsa-2048.pem").replace("M", "\ud800"),
        "not an RSA private key",
    ),
    "nothing": (lambda: "", "not an RSA private key"),
    "nothing but spaces": (lambda: " \n\t", "not an RSA private key"),
}

PUBLIC_REFUSALS = {
    "a private key in PEM": (lambda: _pem("rsa-2048.pem"), "this is a private key"),
    "a PKCS#1 private key in PEM": (lambda: _pkcs1(Encoding.PEM), "this is a private key"),
    "a private key in bare Base64": (lambda: _bare("rsa-2048.pem"), "this is a private key"),
    "a PKCS#1 private key in bare Base64": (lambda: _pkcs1(Encoding.DER), "this is a private key"),
    "a certificate in PEM": (lambda: _pem("certificate.pem"), "this is a certificate"),
    "another kind of key in PEM": (lambda: _other_public_key(Encoding.PEM), "not an RSA key"),
    "another kind of key in bare Base64": (lambda: _other_public_key(Encoding.DER), "not an RSA key"),
    "bare Base64 cut off": (
        lambda: _public_half(PublicFormat.SubjectPublicKeyInfo, Encoding.DER)[:200],
        "not an RSA public key",
    ),
    "no Base64": (lambda: "not a key!", "neither PEM nor Base64"),
    "nothing": (lambda: "", "not an RSA public key"),
}


@pytest.mark.parametrize(("write", "reason"), PRIVATE_REFUSALS.values(), ids=PRIVATE_REFUSALS)
def test_what_is_no_private_key_is_refused_with_the_reason(write: Callable[[], str], reason: str) -> None:
    with pytest.raises(KeyFormatError, match=re.escape(reason)):
        load_private_key(write())


@pytest.mark.parametrize(("write", "reason"), PUBLIC_REFUSALS.values(), ids=PUBLIC_REFUSALS)
def test_what_is_no_public_key_is_refused_with_the_reason(write: Callable[[], str], reason: str) -> None:
    with pytest.raises(KeyFormatError, match=re.escape(reason)):
        load_public_key(write())


def test_a_public_key_of_512_bits_is_refused() -> None:
    small = load_pem_private_key((VECTORS / "rsa-512.pem").read_bytes(), password=None)
    pem = small.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(KeyFormatError, match="has 512 bits; 1024 to 8192 are accepted"):
        load_public_key(pem)


@pytest.mark.parametrize(
    ("load", "write"),
    [
        *((load_private_key, write) for write, _ in PRIVATE_REFUSALS.values()),
        *((load_public_key, write) for write, _ in PUBLIC_REFUSALS.values()),
    ],
    ids=[*PRIVATE_REFUSALS, *PUBLIC_REFUSALS],
)
def test_no_refusal_shows_any_of_the_key(load: Callable[[str], object], write: Callable[[], str]) -> None:
    text = write()

    with pytest.raises(KeyFormatError) as refusal:
        load(text)

    shown = "".join(traceback.format_exception(refusal.value, chain=True))
    pieces = [piece for piece in re.split(r"\s+", text) if len(piece) >= 16]
    pieces = [piece[start : start + 16] for piece in pieces for start in range(0, len(piece) - 15, 16)]
    assert not [piece for piece in pieces if piece in shown]
    assert "direct cause" not in shown
    assert "another exception occurred" not in shown


@pytest.mark.parametrize("written", ["\\n", "\\r\\n", "\\r"])
def test_line_breaks_written_out_as_characters_are_read(written: str) -> None:
    text = _pem("rsa-2048.pem")
    bare = base64.encodebytes(base64.b64decode("".join(text.splitlines()[1:-1]))).decode()
    expected = load_private_key(text).private_numbers()

    for each in (text, bare):
        assert load_private_key(each.replace("\n", written)).private_numbers() == expected


@pytest.mark.parametrize("label", ["RSA PRIVATE KEY", "PRIVATE KEY"])
def test_a_pem_is_read_by_what_it_holds_where_its_label_names_another_form(label: str) -> None:
    key = load_private_key(_pem("rsa-2048.pem"))
    other = PrivateFormat.PKCS8 if label.startswith("RSA") else PrivateFormat.TraditionalOpenSSL
    text = key.private_bytes(Encoding.PEM, other, NoEncryption()).decode()

    labelled = re.sub("(BEGIN|END) .*-----", rf"\1 {label}-----", text)

    assert load_private_key(labelled).private_numbers() == key.private_numbers()
