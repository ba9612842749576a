"""What is wrong with a key's text: said exactly, and never at odds with what the functions accept."""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, text, tuples

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key
from tests.support.jdk import VECTORS as JDK_VECTORS
from tools.findings import Finding, Severity
from tools.keys.forms import Examined, examine_private, examine_public

VECTORS: Final = Path(__file__).parents[1] / "vectors"
NAME: Final = "the key"

_KEY: Final = load_pem_private_key((VECTORS / "rsa-2048.pem").read_bytes(), password=None)
assert isinstance(_KEY, RSAPrivateKey)
_PUBLIC: Final = _KEY.public_key()

PEM: Final = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PKCS1_PEM: Final = _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
DER: Final = _KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
BARE: Final = base64.b64encode(DER).decode()
PKCS1: Final = base64.b64encode(
    _KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
).decode()
PUBLIC_PEM: Final = _PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PUBLIC_DER: Final = _PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PUBLIC: Final = base64.b64encode(PUBLIC_DER).decode()
PUBLIC_PKCS1: Final = base64.b64encode(_PUBLIC.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
OPENSSH: Final = _KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
OPENSSH_PUBLIC: Final = _PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
CERTIFICATE: Final = (VECTORS / "certificate.pem").read_text()
SMALL: Final = (VECTORS / "rsa-512.pem").read_text()


def _encrypted(form: PrivateFormat) -> str:
    assert isinstance(_KEY, RSAPrivateKey)
    return _KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"a passphrase")).decode()


def _elliptic(encoding: Encoding) -> str:
    data = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        encoding, PrivateFormat.PKCS8, NoEncryption()
    )
    return data.decode() if encoding is Encoding.PEM else base64.b64encode(data).decode()


def _ed25519_public() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _changed(der: bytes) -> str:
    """Change a key in its middle, where the numbers are."""
    middle = len(der) // 2
    return base64.b64encode(der[:middle] + bytes([der[middle] ^ 1]) + der[middle + 1 :]).decode()


# Accepted: the code of each thing that is said about it, in order.
ACCEPTED_PRIVATE: Final[dict[str, tuple[str, list[str]]]] = {
    "bare PKCS#8": (BARE, ["key-readable"]),
    "blanks around": (f"  {BARE}\n", ["key-readable"]),
    "PEM": (PEM, ["key-readable", "pem-armour"]),
    "PEM with line breaks of Windows": (PEM.replace("\n", "\r\n"), ["key-readable", "pem-armour"]),
    "PEM on one line": (PEM.replace("\n", " "), ["key-readable", "pem-armour"]),
    "PEM with line breaks written out": (
        PEM.replace("\n", "\\n"),
        ["key-readable", "literal-line-breaks", "pem-armour"],
    ),
    "line breaks in the Base64": (base64.encodebytes(DER).decode(), ["key-readable", "line-breaks"]),
    "PKCS#1": (PKCS1, ["key-readable", "pkcs1"]),
    "PKCS#1 in PEM": (PKCS1_PEM, ["key-readable", "pem-armour", "pkcs1"]),
    "1024 bits": ((VECTORS / "rsa-1024.pem").read_text(), ["key-small", "pem-armour"]),
}

# Refused: the code of each thing that is wrong, in order.
REFUSED_PRIVATE: Final[dict[str, tuple[str, list[str]]]] = {
    "nothing": (" \n", ["key-empty"]),
    "the public half in PEM": (PUBLIC_PEM, ["public-for-private"]),
    "the public half bare": (PUBLIC, ["public-for-private"]),
    "the public half with a byte order mark": ("\ufeff" + PUBLIC_PEM, ["invisible", "public-for-private"]),
    "a certificate": (CERTIFICATE, ["certificate"]),
    "a certificate after Bag Attributes": (
        f"Bag Attributes\n{CERTIFICATE}",
        ["text-before-pem", "certificate"],
    ),
    "PKCS#8 with a passphrase": (_encrypted(PrivateFormat.PKCS8), ["encrypted"]),
    "PKCS#1 with a passphrase": (_encrypted(PrivateFormat.TraditionalOpenSSL), ["encrypted"]),
    "an EC key in PEM": (_elliptic(Encoding.PEM), ["not-rsa"]),
    "an EC key bare": (_elliptic(Encoding.DER), ["not-rsa"]),
    "512 bits": (SMALL, ["key-size"]),
    "OpenSSH's form": (OPENSSH, ["openssh"]),
    "OpenSSH's public line": (OPENSSH_PUBLIC, ["openssh-public"]),
    "PuTTY's form": ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", ["foreign-key"]),
    "a certificate request": (
        "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
        ["certificate-request"],
    ),
    "a JSON Web Key": ('{"kty": "RSA", "n": "AQAB"}', ["jwk"]),
    "a byte order mark": ("\ufeff" + PEM, ["invisible"]),
    "a zero-width space": (BARE[:300] + "\u200b" + BARE[300:], ["invisible"]),
    "JSON's quotes": (json.dumps(BARE), ["quotes"]),
    "a PEM as a JSON string": (json.dumps(PEM), ["quotes"]),
    "a shell's quotes": (f"'{BARE}'", ["quotes"]),
    "the secret's whole JSON": (json.dumps({"privateKey": BARE}), ["nested-json"]),
    "a PEM in Base64": (base64.b64encode(PEM.encode()).decode(), ["base64-twice"]),
    "Base64 in Base64": (base64.b64encode(BARE.encode()).decode(), ["base64-twice"]),
    "Bag Attributes before the PEM": (f"Bag Attributes\n    friendlyName: me\n{PEM}", ["text-before-pem"]),
    "URL-safe Base64": (base64.urlsafe_b64encode(DER).decode(), ["url-safe-base64"]),
    "URL-safe Base64 without padding": (
        base64.urlsafe_b64encode(DER).decode().rstrip("="),
        ["url-safe-base64", "padding"],
    ),
    "no padding": (BARE.rstrip("="), ["padding"]),
    "hexadecimal": (DER.hex(), ["hex"]),
    "no END line": (PEM[: PEM.index("-----END")], ["armour-broken"]),
    "a BEGIN line of four hyphens": (PEM[1:], ["armour-broken"]),
    "the label of another form": (PEM.replace("PRIVATE KEY", "RSA PRIVATE KEY"), ["armour-broken"]),
    "bare, cut off": (BARE[:400], ["truncated"]),
    "bare, cut off between four letters": (BARE[:401], ["truncated"]),
    "PEM, cut off": (PEM[:800], ["truncated"]),
    "PEM, cut off, with its END line": (PEM[:800] + "\n-----END PRIVATE KEY-----\n", ["truncated"]),
    "two keys, one behind the other": (base64.b64encode(DER + DER).decode(), ["trailing"]),
    "changed on its way": (_changed(DER), ["inconsistent"]),
    "Base64 of words": (base64.b64encode(b"this is not a key at all").decode(), ["not-a-key"]),
    "a word": ("secret!", ["not-base64"]),
    "Chinese": ("密钥", ["not-base64"]),
}

ACCEPTED_PUBLIC: Final[dict[str, tuple[str, list[str]]]] = {
    "bare X.509": (PUBLIC, ["key-readable"]),
    "PEM": (PUBLIC_PEM, ["key-readable", "pem-armour"]),
    "PKCS#1": (PUBLIC_PKCS1, ["key-readable", "pkcs1"]),
    "line breaks": (base64.encodebytes(PUBLIC_DER).decode(), ["key-readable", "line-breaks"]),
}

REFUSED_PUBLIC: Final[dict[str, tuple[str, list[str]]]] = {
    "the private half in PEM": (PEM, ["private-for-public"]),
    "the private half bare": (BARE, ["private-for-public"]),
    "the private half as PKCS#1": (PKCS1, ["private-for-public"]),
    "a certificate": (CERTIFICATE, ["certificate"]),
    "an Ed25519 key": (_ed25519_public(), ["not-rsa"]),
    "OpenSSH's public line": (OPENSSH_PUBLIC, ["openssh-public"]),
    "URL-safe Base64": (base64.urlsafe_b64encode(PUBLIC_DER).decode(), ["url-safe-base64"]),
    "JSON's quotes": (json.dumps(PUBLIC), ["quotes"]),
    "cut off": (PUBLIC[:200], ["truncated"]),
}

PRIVATE_CASES: Final = {**ACCEPTED_PRIVATE, **REFUSED_PRIVATE}
PUBLIC_CASES: Final = {**ACCEPTED_PUBLIC, **REFUSED_PUBLIC}


def accepts(load: Callable[[str], object], text: str) -> bool:
    """Tell whether the functions would take a text."""
    try:
        load(text)
    except KeyFormatError:
        return False
    return True


def codes(examined: Examined[RSAPrivateKey]) -> list[str]:
    return [finding.code for finding in examined.findings]


def faults(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings if finding.severity is Severity.FAULT]


@pytest.mark.parametrize(("text", "said"), PRIVATE_CASES.values(), ids=PRIVATE_CASES)
def test_a_private_key_is_told_what_it_is(text: str, said: list[str]) -> None:
    assert codes(examine_private(text, NAME)) == said


@pytest.mark.parametrize(("text", "said"), PUBLIC_CASES.values(), ids=PUBLIC_CASES)
def test_a_public_key_is_told_what_it_is(text: str, said: list[str]) -> None:
    assert [finding.code for finding in examine_public(text, NAME).findings] == said


@pytest.mark.parametrize("text", [text for text, _ in PRIVATE_CASES.values()], ids=PRIVATE_CASES)
def test_a_private_key_is_wrong_just_where_the_functions_refuse_it(text: str) -> None:
    examined = examine_private(text, NAME)

    assert (examined.key is not None) == accepts(load_private_key, text)
    assert bool(faults(examined.findings)) == (examined.key is None)


@pytest.mark.parametrize("text", [text for text, _ in PUBLIC_CASES.values()], ids=PUBLIC_CASES)
def test_a_public_key_is_wrong_just_where_the_functions_refuse_it(text: str) -> None:
    examined = examine_public(text, NAME)

    assert (examined.key is not None) == accepts(load_public_key, text)
    assert bool(faults(examined.findings)) == (examined.key is None)


_SPOILS: Final = lists(
    tuples(
        integers(0, len(BARE)),
        sampled_from(["", " ", "\n", "-", "=", "A", '"', "{", "\ufeff", "-----BEGIN "]),
    ),
    max_size=3,
)


@given(_SPOILS, sampled_from([BARE, PEM, PKCS1_PEM, PUBLIC, PUBLIC_PEM]))
def test_however_a_key_is_spoilt_the_tool_and_the_functions_agree(
    spoils: list[tuple[int, str]], key: str
) -> None:
    for place, what in spoils:
        key = key[:place] + what + key[place + 1 :]

    private, public = examine_private(key, NAME), examine_public(key, NAME)

    assert bool(faults(private.findings)) == (not accepts(load_private_key, key))
    assert bool(faults(public.findings)) == (not accepts(load_public_key, key))


@given(text(max_size=400))
def test_no_text_whatever_is_taken_for_a_key(content: str) -> None:
    assert faults(examine_private(content, NAME).findings)
    assert faults(examine_public(content, NAME).findings)


@pytest.mark.parametrize(
    ("examine", "text"),
    [
        *((examine_private, text) for text, _ in PRIVATE_CASES.values()),
        *((examine_public, text) for text, _ in REFUSED_PUBLIC.values()),
    ],
    ids=[*PRIVATE_CASES, *(f"{name}, as public" for name in REFUSED_PUBLIC)],
)
def test_no_finding_shows_any_of_the_key(
    examine: Callable[[str, str], Examined[RSAPrivateKey]], text: str
) -> None:
    findings = examine(text, NAME).findings

    shown = " ".join(f"{finding.what} {finding.remedy}" for finding in findings)
    pieces = re.findall(r"[A-Za-z0-9+/_-]{16,}", text)
    pieces = [piece[start : start + 16] for piece in pieces for start in range(0, len(piece) - 15, 16)]
    assert not [piece for piece in pieces if piece in shown and "BEGIN" not in piece]


@pytest.mark.parametrize(
    ("examine", "text"),
    [
        *((examine_private, text) for text, _ in REFUSED_PRIVATE.values()),
        *((examine_public, text) for text, _ in REFUSED_PUBLIC.values()),
    ],
)
def test_every_fault_names_the_key_and_has_a_remedy(
    examine: Callable[[str, str], Examined[RSAPrivateKey]], text: str
) -> None:
    for finding in examine(text, NAME).findings:
        assert finding.what.startswith(NAME)
        assert finding.remedy.endswith((".", "?"))


@pytest.mark.parametrize("bits", ["1024", "2048"])
def test_a_pair_of_the_jdk_has_the_open_platforms_own_form(bits: str) -> None:
    pair = json.loads(JDK_VECTORS.read_text())["keys"][bits]
    expected = ["key-small" if bits == "1024" else "key-readable"]

    assert codes(examine_private(pair["privateKey"], NAME)) == expected
    assert [finding.code for finding in examine_public(pair["publicKey"], NAME).findings] == expected


# The remedies' commands do what they say.

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "PEM to the bare form": (PEM, "openssl pkey -in FILE -outform DER | openssl base64 -A"),
    "PKCS#1 to the bare form": (PKCS1_PEM, "openssl pkey -in FILE -outform DER | openssl base64 -A"),
    "Base64 twice": (base64.b64encode(PEM.encode()).decode(), "openssl base64 -d -A -in FILE"),
    "URL-safe Base64": (base64.urlsafe_b64encode(DER).decode(), "tr -- '-_' '+/' < FILE"),
}


@pytest.mark.parametrize(("text", "command"), COMMANDS.values(), ids=COMMANDS)
def test_a_remedys_command_makes_the_key_readable(text: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text(text)

    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert load_private_key(done.stdout).private_numbers() == load_private_key(PEM).private_numbers()


@pytest.mark.parametrize(
    ("code", "text"),
    [("base64-twice", COMMANDS["Base64 twice"][0]), ("url-safe-base64", COMMANDS["URL-safe Base64"][0])],
)
def test_those_commands_are_the_remedies_own(code: str, text: str) -> None:
    (finding,) = examine_private(text, NAME).findings

    assert finding.code == code
    assert any(command in finding.remedy for _, command in COMMANDS.values())
