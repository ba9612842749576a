"""What is wrong with a key's text: said exactly, and never at odds with what the functions accept."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, text, tuples

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key
from local.keys import CustomerKeys, SecretsFileError
from tests.support.operator import APP_KEY, OWN, PRIVATE, PUBLIC, VECTORS
from tools.findings import Finding, Severity
from tools.key_text import Examined, examine_private, examine_public
from tools.messages import Language

NAME: Final = "the key"
_PKCS8, _PKCS1, _SSH = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH
_SPKI: Final = PublicFormat.SubjectPublicKeyInfo
_SECRET: Final = BestAvailableEncryption(b"a passphrase")


def bare(der: bytes) -> str:
    return base64.b64encode(der).decode()


def pem(form: PrivateFormat, encryption: Any = NoEncryption()) -> str:  # noqa: B008 - immutable
    return OWN.private_bytes(Encoding.PEM, form, encryption).decode()


def other(key: Any, encoding: Encoding, form: PrivateFormat = _PKCS8) -> str:
    data = key.private_bytes(encoding, form, NoEncryption())
    return data.decode() if encoding is Encoding.PEM else bare(data)


DER: Final = OWN.private_bytes(Encoding.DER, _PKCS8, NoEncryption())
PUBLIC_DER: Final = OWN.public_key().public_bytes(Encoding.DER, _SPKI)
PEM, PKCS1_PEM = pem(_PKCS8), pem(_PKCS1)
PUBLIC_PEM: Final = OWN.public_key().public_bytes(Encoding.PEM, _SPKI).decode()
PKCS1: Final = bare(OWN.private_bytes(Encoding.DER, _PKCS1, NoEncryption()))
PUBLIC_PKCS1: Final = bare(OWN.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))
OPENSSH_PUBLIC: Final = OWN.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
CERTIFICATE: Final = x509.load_pem_x509_certificate((VECTORS / "certificate.pem").read_bytes())
CERTIFICATE_PEM: Final = CERTIFICATE.public_bytes(Encoding.PEM).decode()
REQUEST: Final = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's")]))
    .sign(OWN, SHA256())
)
URL_SAFE: Final = base64.urlsafe_b64encode(DER).decode()
BUNDLE: Final = pkcs7.serialize_certificates([CERTIFICATE], Encoding.DER)
EC: Final = ec.generate_private_key(ec.SECP256R1())
DSA: Final = dsa.DSAPublicNumbers(3, dsa.DSAParameterNumbers((1 << 1023) + 1155, (1 << 159) + 7, 2))
DSA_PUBLIC: Final = bare(DSA.public_key().public_bytes(Encoding.DER, _SPKI))
_SM2_CURVE: Final = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
_SM2_POINT: Final = bytes.fromhex("034200") + b"\x04" + bytes(range(64))
SM2_PUBLIC: Final = bare(b"\x30\x59" + _SM2_CURVE + _SM2_POINT)
_SM2_NUMBER: Final = bytes.fromhex("042730250201010420") + bytes(range(1, 33))
SM2_PRIVATE: Final = bare(bytes.fromhex("3041020100") + _SM2_CURVE + _SM2_NUMBER)
NUMBERS: Final = OWN.private_numbers()


def xml(**numbers: int) -> str:
    parts = (
        f"<{name}>{bare(number.to_bytes((number.bit_length() + 7) // 8))}</{name}>"
        for name, number in numbers.items()
    )
    return f"<RSAKeyValue>{''.join(parts)}</RSAKeyValue>"


PUBLIC_NUMBERS: Final = {"Modulus": NUMBERS.public_numbers.n, "Exponent": NUMBERS.public_numbers.e}
PRIVATE_NUMBERS: Final = {"P": NUMBERS.p, "Q": NUMBERS.q, "DP": NUMBERS.dmp1, "DQ": NUMBERS.dmq1}
ALL_NUMBERS: Final = {**PUBLIC_NUMBERS, **PRIVATE_NUMBERS, "InverseQ": NUMBERS.iqmp, "D": NUMBERS.d}


def store(encryption: Any) -> str:
    return bare(pkcs12.serialize_key_and_certificates(b"a", OWN, None, None, encryption))


def changed(der: bytes, place: int) -> str:
    return bare(der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :])


LINES: Final = re.findall(".{1,64}", PRIVATE)
WRITTEN: Final = ("\\n", "\\r\\n", "\\r")

# What the functions accept.
ACCEPTED_PRIVATE: Final = {
    "bare PKCS#8": PRIVATE,
    "blanks around": f"  {PRIVATE}\n",
    "PEM": PEM,
    "PEM with line breaks of Windows": PEM.replace("\n", "\r\n"),
    "PEM on one line": PEM.replace("\n", " "),
    **{f"PEM with {written} written out": PEM.replace("\n", written) for written in WRITTEN},
    **{f"bare with {written} written out": written.join(LINES) for written in WRITTEN},
    "PKCS#8 under the label of PKCS#1": PEM.replace("PRIVATE", "RSA PRIVATE"),
    "no END line": PEM[: PEM.index("-----END")],
    "line breaks in the Base64": base64.encodebytes(DER).decode(),
    "PKCS#1": PKCS1,
    "PKCS#1 in PEM": PKCS1_PEM,
}
ACCEPTED_PUBLIC: Final = {
    "bare X.509": PUBLIC,
    "PEM": PUBLIC_PEM,
    "PKCS#1": PUBLIC_PKCS1,
    "line breaks": base64.encodebytes(PUBLIC_DER).decode(),
    **{f"PEM with {written} written out": PUBLIC_PEM.replace("\n", written) for written in WRITTEN},
}

# What they refuse: the text, and the code of each thing that is wrong, in order.
REFUSED_PRIVATE: Final = {
    "nothing": (" \n", "key-empty"),
    "the public half in PEM": (PUBLIC_PEM, "public-for-private"),
    "the public half bare": (PUBLIC, "public-for-private"),
    "the public half with a byte order mark": ("\ufeff" + PUBLIC_PEM, "invisible public-for-private"),
    "a certificate": (CERTIFICATE_PEM, "certificate"),
    "a certificate, bare": (bare(CERTIFICATE.public_bytes(Encoding.DER)), "certificate"),
    "a certificate after its name": (f"Bag Attributes\n{CERTIFICATE_PEM}", "text-before-pem certificate"),
    "a certificate request": (REQUEST.public_bytes(Encoding.PEM).decode(), "certificate-request"),
    "a certificate request, bare": (bare(REQUEST.public_bytes(Encoding.DER)), "certificate-request"),
    "PKCS#7, bare": (bare(BUNDLE), "pkcs7"),
    "PKCS#7 in PEM": (pkcs7.serialize_certificates([CERTIFICATE], Encoding.PEM).decode(), "pkcs7"),
    "PKCS#12, bare": (store(NoEncryption()), "pkcs12"),
    "PKCS#12 with a passphrase": (store(_SECRET), "pkcs12"),
    "PKCS#8 with a passphrase": (pem(_PKCS8, _SECRET), "encrypted"),
    "PKCS#8 with a passphrase, bare": (bare(OWN.private_bytes(Encoding.DER, _PKCS8, _SECRET)), "encrypted"),
    "PKCS#1 with a passphrase": (pem(_PKCS1, _SECRET), "encrypted"),
    "an EC key in PEM": (other(EC, Encoding.PEM), "not-rsa"),
    "an EC key bare": (other(EC, Encoding.DER), "not-rsa"),
    "an EC key bare, SEC 1": (other(EC, Encoding.DER, _PKCS1), "not-rsa"),
    "an Ed25519 key": (other(ed25519.Ed25519PrivateKey.generate(), Encoding.DER), "not-rsa"),
    "an SM2 key": (SM2_PRIVATE, "not-rsa"),
    "512 bits": ((VECTORS / "rsa-512.pem").read_text(), "key-size"),
    "OpenSSH's form": (pem(_SSH), "foreign"),
    "OpenSSH's public line": (OPENSSH_PUBLIC, "foreign"),
    "PuTTY's form": ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", "foreign"),
    "a JSON Web Key": ('{"kty": "RSA", "n": "AQAB"}', "foreign"),
    "a byte order mark": ("\ufeff" + PEM, "invisible"),
    "a zero-width space": (PRIVATE[:300] + "\u200b" + PRIVATE[300:], "invisible"),
    "JSON's quotes": (json.dumps(PRIVATE), "quotes"),
    "a PEM as a JSON string": (json.dumps(PEM), "quotes"),
    "a shell's quotes": (f"'{PRIVATE}'", "quotes"),
    "the secret's whole JSON": (json.dumps({"privateKey": PRIVATE}), "nested-json"),
    "the guide's print-out": (f"privateKey:{PRIVATE}", "named"),
    "a property": (f"private_key = {PRIVATE}", "named"),
    "Chinese punctuation after a name": (f"privateKey：{PRIVATE}", "named"),
    ".NET's XML": (xml(**ALL_NUMBERS), "rsa-key-value"),
    "a PEM in Base64": (bare(PEM.encode()), "base64-twice"),
    "Base64 in Base64": (bare(PRIVATE.encode()), "base64-twice"),
    "Bag Attributes before the PEM": (f"Bag Attributes\n    friendlyName: me\n{PEM}", "text-before-pem"),
    "URL-safe Base64": (URL_SAFE, "url-safe-base64"),
    "URL-safe Base64 without padding": (URL_SAFE.rstrip("="), "url-safe-base64 padding"),
    "no padding": (PRIVATE.rstrip("="), "padding"),
    "+ turned into a blank": (PRIVATE.replace("+", " "), "plus-lost"),
    "a BEGIN line of four hyphens": (PEM[1:], "armour-broken"),
    "bare, cut off": (PRIVATE[:400], "truncated"),
    "bare, cut off between four letters": (PRIVATE[:401], "truncated"),
    "PEM, cut off": (PEM[:800], "truncated"),
    "PEM, cut off, with its END line": (PEM[:800] + "\n-----END PRIVATE KEY-----\n", "truncated"),
    "two keys, one behind the other": (bare(DER + DER), "trailing"),
    "a number changed": (changed(DER, len(DER) // 2), "changed"),
    "its structure changed": (changed(DER, 4), "changed"),
    "Base64 of words": (bare(b"this is not a key at all"), "not-a-key"),
    "a word": ("secret!", "not-base64"),
    "Chinese": ("密钥", "not-base64"),
    **{f"{end} at the end": (PRIVATE + end, "stray-end") for end in (*'%;,."*$，＝。', "%\n")},
    "＝ in place of =": (PRIVATE.rstrip("=") + "＝", "stray-end"),
}
REFUSED_PUBLIC: Final = {
    "the private half in PEM": (PEM, "private-for-public"),
    "the private half bare": (PRIVATE, "private-for-public"),
    "the private half as PKCS#1": (PKCS1, "private-for-public"),
    "a certificate": (CERTIFICATE_PEM, "certificate"),
    "an SM2 key": (SM2_PUBLIC, "not-rsa"),
    "a DSA key": (DSA_PUBLIC, "not-rsa"),
    "OpenSSH's public line": (OPENSSH_PUBLIC, "foreign"),
    "URL-safe Base64": (base64.urlsafe_b64encode(PUBLIC_DER).decode(), "url-safe-base64"),
    "JSON's quotes": (json.dumps(PUBLIC), "quotes"),
    ".NET's XML": (xml(**PUBLIC_NUMBERS), "rsa-key-value"),
    "a name": (f"publicKey:{PUBLIC}", "named"),
    "cut off": (PUBLIC[:200], "truncated"),
    "a stray character": (f"{PUBLIC}%", "stray-end"),
}
READERS: Final[dict[str, tuple[Any, Any]]] = {
    "private": (examine_private, load_private_key),
    "public": (examine_public, load_public_key),
}
CASES: Final = {
    f"{kind}: {name}": (kind, *case)
    for kind, accepted, refused in (
        ("private", ACCEPTED_PRIVATE, REFUSED_PRIVATE),
        ("public", ACCEPTED_PUBLIC, REFUSED_PUBLIC),
    )
    for name, case in {**{name: (content, "") for name, content in accepted.items()}, **refused}.items()
}


def accepts(load: Any, content: str) -> bool:
    """Tell whether the functions would take a text."""
    try:
        load(content)
    except (KeyFormatError, SecretsFileError):
        return False
    return True


def local_up(load: Any, path: Path) -> Any:
    """Return what reads a key as `local up --secrets` does, out of a file that an editor of Windows wrote."""
    member = "privateKey" if load is load_private_key else "platformPublicKey"

    def read(content: str) -> object:
        keys = {"privateKey": PRIVATE, "platformPublicKey": PUBLIC, "appKey": APP_KEY, member: content}
        path.write_text(json.dumps(keys), encoding="utf-8-sig")
        return CustomerKeys.read(path)

    return read


def faults(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.text.key for finding in findings if finding.severity is Severity.FAULT]


@pytest.mark.parametrize(("kind", "content", "wrong"), CASES.values(), ids=CASES)
def test_a_key_is_told_what_it_is_as_the_functions_and_local_up_take_it_and_none_of_it_is_shown(
    kind: str, content: str, wrong: str, tmp_path: Path
) -> None:
    examine, load = READERS[kind]
    examined: Examined[Any] = examine(content, NAME)

    assert faults(examined.findings) == wrong.split()
    assert (examined.key is not None) == (not wrong)
    assert (examined.meant is not None) == (wrong in {"", "named", "rsa-key-value"})  # what `keys put` takes
    if wrong != "changed":  # such a key may still sign
        assert accepts(load, content) == (not wrong)
        assert accepts(local_up(load, tmp_path / "secrets.json"), content) == (not wrong)
    shown = ""
    for finding in examined.findings:
        said = finding.text.say(Language.ENGLISH, {})
        assert said.startswith(NAME)
        assert not wrong or " → " in said
        shown += said
    pieces = re.findall(r"[A-Za-z0-9+/_-]{16}", content)
    assert not [piece for piece in pieces if piece in shown and "BEGIN" not in piece and "-----" not in piece]


_SPOILS: Final = lists(
    tuples(
        integers(0, len(PRIVATE)),
        sampled_from(["", " ", "\n", "-", "=", "A", '"', "{", "\ufeff", "-----BEGIN ", "%"])
        | text(max_size=9),
    ),
    max_size=3,
)


@settings(max_examples=20)
@given(_SPOILS, sampled_from([PRIVATE, PEM, PUBLIC, PUBLIC_PEM, ""]))
def test_however_a_key_is_spoilt_what_is_refused_is_a_fault(spoils: list[tuple[int, str]], key: str) -> None:
    for place, what in spoils:
        key = key[:place] + what + key[place + 1 :]

    assert faults(examine_private(key, NAME).findings) or accepts(load_private_key, key)
    assert bool(faults(examine_public(key, NAME).findings)) == (not accepts(load_public_key, key))


def test_a_fixs_command_makes_the_key_readable(tmp_path: Path) -> None:
    content, code = REFUSED_PRIVATE["URL-safe Base64"]
    (tmp_path / "FILE").write_text(content)
    (finding,) = examine_private(content, NAME).findings
    (command,) = re.findall("`([^`]*)`", finding.text.say(Language.ENGLISH, {}))

    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert finding.text.key == code
    assert load_private_key(done.stdout).private_numbers() == NUMBERS
