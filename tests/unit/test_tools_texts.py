"""The text of a key or a secret: what is wrong is said exactly, never at odds with what functions accept."""

import base64
import json
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7, pkcs12
from cryptography.x509.oid import NameOID

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key
from local.keys import CustomerKeys, SecretsFileError
from tests.support import operator as desk
from tests.support.operator import APP_KEY, OWN, PRIVATE, PUBLIC, SIGNING_TEXT
from tools.findings import Finding, Severity
from tools.given import SecretKind
from tools.key_text import Examined, _accidents, bare_public, examine_private, examine_public, fingerprint
from tools.messages import Language
from tools.secret_text import Keys, examine_reported, examine_secret

NAME: Final = "the key"
_PKCS8, _PKCS1, _SSH = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo
_SECRET: Final = serialization.BestAvailableEncryption(b"a passphrase")


def bare(der: bytes) -> str:
    return base64.b64encode(der).decode()


def pem(form: PrivateFormat, encryption: Any = NoEncryption()) -> str:  # noqa: B008 - immutable
    return OWN.private_bytes(Encoding.PEM, form, encryption).decode()


DER: Final = OWN.private_bytes(Encoding.DER, _PKCS8, NoEncryption())
PUBLIC_DER: Final = OWN.public_key().public_bytes(Encoding.DER, _SPKI)
PEM: Final = pem(_PKCS8)
PUBLIC_PEM: Final = OWN.public_key().public_bytes(Encoding.PEM, _SPKI).decode()
PUBLIC_PKCS1: Final = bare(OWN.public_key().public_bytes(Encoding.DER, serialization.PublicFormat.PKCS1))
OPENSSH_PUBLIC: Final = (
    OWN.public_key().public_bytes(Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
)
CERTIFICATE: Final = x509.load_pem_x509_certificate((desk.VECTORS / "certificate.pem").read_bytes())
CERTIFICATE_PEM: Final = CERTIFICATE.public_bytes(Encoding.PEM).decode()
REQUEST: Final = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's")]))
    .sign(OWN, SHA256())
)
BUNDLE: Final = pkcs7.serialize_certificates([CERTIFICATE], Encoding.DER)
EC: Final = ec.generate_private_key(ec.SECP256R1())
DSA: Final = dsa.DSAPublicNumbers(3, dsa.DSAParameterNumbers((1 << 1023) + 1155, (1 << 159) + 7, 2))
DSA_PUBLIC: Final = bare(DSA.public_key().public_bytes(Encoding.DER, _SPKI))
_SM2_CURVE: Final = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
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


NAMED: Final = (
    *("app.private_key1 = {}", "export PRIVATE_KEY='{}'", "APP_ID=000340\nPRIVATE_KEY={}\nAPP_KEY=AA\n"),
    *('String privateKey = "{}";', '"privateKey": "{}",', "私钥：{}", "<privateKey>{}</privateKey>"),
)
# The text, and the code of each thing that is wrong, in order: none where the functions accept it.
# tests/unit/test_keys.py has all ways in which a key is written down.
PRIVATE_FORMS: Final = {
    "bare": (PRIVATE, ""),
    "PEM with line breaks written out": (PEM.replace("\n", r"\r\n"), ""),
    "PKCS#8 under the label of PKCS#1": (PEM.replace("PRIVATE", "RSA PRIVATE"), ""),
    "no END line": (PEM[: PEM.index("-----END")], ""),
    "PKCS#1 in PEM": (pem(_PKCS1), ""),
    "nothing": (" \n", "key-empty"),
    "the public half in PEM": (PUBLIC_PEM, "public-for-private"),
    "the public half bare": (PUBLIC, "public-for-private"),
    "the public half with a byte order mark": ("\ufeff" + PUBLIC_PEM, "invisible public-for-private"),
    "a certificate": (CERTIFICATE_PEM, "certificate-for-private"),
    "a certificate, bare": (bare(CERTIFICATE.public_bytes(Encoding.DER)), "certificate-for-private"),
    "a certificate request": (REQUEST.public_bytes(Encoding.PEM).decode(), "certificate-request"),
    "a certificate request, bare": (bare(REQUEST.public_bytes(Encoding.DER)), "certificate-request"),
    "PKCS#7, bare": (bare(BUNDLE), "pkcs7"),
    "PKCS#7 in PEM": (pkcs7.serialize_certificates([CERTIFICATE], Encoding.PEM).decode(), "pkcs7"),
    "PKCS#12, bare": (store(NoEncryption()), "pkcs12"),
    "PKCS#12 with a passphrase": (store(_SECRET), "pkcs12"),
    "PKCS#8 with a passphrase": (pem(_PKCS8, _SECRET), "encrypted"),
    "PKCS#8 with a passphrase, bare": (bare(OWN.private_bytes(Encoding.DER, _PKCS8, _SECRET)), "encrypted"),
    "an EC key": (bare(EC.private_bytes(Encoding.DER, _PKCS8, NoEncryption())), "not-rsa"),
    "an SM2 key": (SM2_PRIVATE, "not-rsa"),
    "512 bits": ((desk.VECTORS / "rsa-512.pem").read_text(), "key-size"),
    "OpenSSH's form": (pem(_SSH), "foreign"),
    "OpenSSH's public line": (OPENSSH_PUBLIC, "foreign"),
    "a byte order mark": ("\ufeff" + PEM, "invisible"),
    "JSON's quotes": (json.dumps(PRIVATE), "quotes"),
    "a PEM as a JSON string": (json.dumps(PEM), "quotes"),
    "a shell's quotes": (f"'{PRIVATE}'", "quotes"),
    "quotes of print": (f"“{PRIVATE}”", "quotes"),
    "a code fence": (f"```pem\n{PEM}```", "quotes"),
    "lines of Java": (" +\n  ".join(f'"{line}\\n"' for line in PEM.splitlines()), "quotes"),
    "the guide's print-out": (f"publicKey:{PUBLIC}\nprivateKey:{PRIVATE}%\n", "named"),
    "YAML": (f"  - privateKey: {PEM}", "named"),
    **{form: (form.format(PRIVATE), "named") for form in NAMED},
    "the secret's whole JSON": (SIGNING_TEXT, "named"),
    "JSON in JSON": (json.dumps(json.dumps({"appKey": APP_KEY, "privateKey": PRIVATE})), "named"),
    "a public key by a name": (f"privateKey:{PUBLIC}", "named public-for-private"),
    "encoded for an address": (PRIVATE.replace("+", "%2B").replace("/", "%2F"), "escaped"),
    "encoded for a page": (PRIVATE.replace("+", "&#43;"), "escaped"),
    "hexadecimal": (DER.hex(":"), "hex"),
    ".NET's XML": (xml(**ALL_NUMBERS), "rsa-key-value"),
    "Base64 in Base64": (bare(PRIVATE.encode()), "base64-twice"),
    "Bag Attributes before the PEM": (f"Bag Attributes\n    friendlyName: me\n{PEM}", "text-before-pem"),
    "URL-safe Base64": (base64.urlsafe_b64encode(DER).decode(), "url-safe-base64"),
    "URL-safe Base64 and %": (base64.urlsafe_b64encode(DER).decode() + "%", "url-safe-base64 stray-end"),
    "no padding": (PRIVATE.rstrip("="), "padding"),
    "+ turned into a blank": (PRIVATE.replace("+", " "), "plus-lost"),
    "+ turned into a blank in lines": (base64.encodebytes(DER).decode().replace("+", " "), "plus-lost"),
    "a mark of direction": (f"{PRIVATE[:99]}\u202b{PRIVATE[99:]}", "invisible"),
    "a no-break space": (PEM.replace(" ", "\u00a0"), "invisible"),
    "six hyphens": (PEM.replace("-----", "------"), "armour-broken"),
    "a BEGIN line of four hyphens": (PEM[1:], "armour-broken"),
    "bare, cut off": (PRIVATE[:400], "truncated"),
    "PEM, cut off, with its END line": (PEM[:800] + "\n-----END PRIVATE KEY-----\n", "truncated"),
    "two keys, one behind the other": (bare(DER + DER), "trailing"),
    "two texts, one behind the other": (bare(DER[:-1]) + PRIVATE, "trailing"),
    "two keys with names": (f"old: {PRIVATE}\nnew: {bare(DER)}", "not-base64"),
    "a key before a PEM": (f"{PRIVATE}\n{PEM}", "trailing"),
    "a key behind a PEM": (f"{PEM}{PRIVATE}", "trailing"),
    "a number changed": (changed(DER, len(DER) // 2), "changed"),
    "Base64 of words": (bare(b"this is not a key at all"), "not-a-key"),
    "no first character": (PRIVATE[1:], "not-a-key"),
    "Java's key store": (bare(bytes.fromhex("feedfeed0000000200000001")), "java-store"),
    **{word: (word, "not-base64") for word in ("secret!", "/keys/private-key.pem", "${PRIVATE_KEY}")},
    **{f"{end} at the end": (PRIVATE + end, "stray-end") for end in ("%", ";", "。", "%\n", "\n请保管")},
    "＝ in place of =": (PRIVATE.rstrip("=") + "＝", "stray-end"),
}
PUBLIC_FORMS: Final = {
    "bare": (PUBLIC, ""),
    "PEM": (PUBLIC_PEM, ""),
    "the private half in PEM": (PEM, "private-for-public"),
    "the private half bare": (PRIVATE, "private-for-public"),
    "a certificate": (CERTIFICATE_PEM, "certificate"),
    "a DSA key": (DSA_PUBLIC, "not-rsa"),
    "OpenSSH's public line": (OPENSSH_PUBLIC, "foreign"),
    "JSON's quotes": (json.dumps(PUBLIC), "quotes"),
    ".NET's XML": (xml(**PUBLIC_NUMBERS), "rsa-key-value"),
    "the guide's print-out": (f"publicKey:{PUBLIC}\nprivateKey:{PRIVATE}%\n", "named"),
    "cut off": (PUBLIC[:200], "truncated"),
    "a stray character": (f"{PUBLIC}%", "stray-end"),
}
MENDED: Final = {accident.code for accident in _accidents("private")}
CASES: Final = {
    f"{load.__name__}: {name}": (examine, load, *case)
    for examine, load, forms in (
        (examine_private, load_private_key, PRIVATE_FORMS),
        (examine_public, load_public_key, PUBLIC_FORMS),
    )
    for name, case in forms.items()
}


def accepts(load: Any, content: str) -> bool:
    """Tell whether a reader takes a text."""
    with suppress(KeyFormatError, SecretsFileError):
        return bool(load(content))
    return False


def said_of(finding: Finding) -> str:
    return finding.text.say(Language.ENGLISH, {})


def faults(findings: Any) -> list[str]:
    return [finding.text.key for finding in findings if finding.severity is Severity.FAULT]


def local_up(load: Any, path: Path) -> Any:
    """Return what reads a key as `local up --secrets` does, out of a file that an editor of Windows wrote."""
    member = "privateKey" if load is load_private_key else "platformPublicKey"

    def read(content: str) -> object:
        keys = {"privateKey": PRIVATE, "platformPublicKey": PUBLIC, "appKey": APP_KEY, member: content}
        path.write_text(json.dumps(keys), encoding="utf-8-sig")
        return CustomerKeys.read(path)

    return read


@pytest.mark.parametrize(("examine", "load", "content", "wrong"), CASES.values(), ids=CASES)
def test_a_key_is_told_what_it_is_as_the_functions_and_local_up_take_it_and_none_of_it_is_shown(
    examine: Any, load: Any, content: str, wrong: str, tmp_path: Path
) -> None:
    examined: Examined[Any] = examine(content, NAME)

    assert faults(examined.findings) == wrong.split()
    assert (examined.key is not None) == (not wrong)
    assert (examined.meant is not None) == ({*wrong.split()} <= MENDED)  # what `keys put` takes
    if wrong != "changed":  # such a key may still sign
        assert accepts(load, content) == (not wrong)
        assert accepts(local_up(load, tmp_path / "secrets.json"), content) == (not wrong)
    shown = ""
    for finding in examined.findings:
        said = said_of(finding)
        assert said.startswith(NAME)
        assert not wrong or " → " in said
        shown += said
    pieces = re.findall(r"[A-Za-z0-9+/_-]{16}", content)
    assert not [piece for piece in pieces if piece in shown and "BEGIN" not in piece and "-----" not in piece]


# The secrets' texts, and how their keys belong together.

SECRET: Final = "shop/secret"
VERIFICATION: Final = json.loads(desk.VERIFICATION_TEXT)


def verification(**changes: Any) -> str:
    return json.dumps({name: each for name, each in {**VERIFICATION, **changes}.items() if each is not None})


# The text, the codes of what is said about it, and words of the advice for this mistake.
SIGNING: Final[dict[str, tuple[str, str, str]]] = {
    "good": (SIGNING_TEXT, "key-readable", ""),
    "after a byte order mark": ("\ufeff" + SIGNING_TEXT, "key-readable", ""),
    "more fields": (json.dumps({"privateKey": PRIVATE, "note": "x"}), "key-readable", ""),
    "a name": (json.dumps({"privateKey": f"key:{PRIVATE}"}), "named", "FILE --replace`"),
    "another field": (json.dumps({"key": PRIVATE}), "field-missing", "put signing"),
    "misspelt": (json.dumps({"private_key": PRIVATE}), "field-missing", "spelled otherwise"),
    "a key alone": (PRIVATE, "not-json", "with the key in a field"),
    "quotes eaten": ("{privateKey:changeme}", "not-json", "needs no shell quoting"),
    "swapped": (desk.VERIFICATION_TEXT, "secrets-swapped", "VerificationSecretArn"),
    "the public half": (json.dumps({"privateKey": PUBLIC}), "public-for-private", "keys new"),
}
OTHERS: Final[dict[str, tuple[str, str, str]]] = {
    "good": (desk.VERIFICATION_TEXT, "key-readable app-key", ""),
    **{
        f"appKey as {form}": (verification(appKey=form.format(APP_KEY)), "key-readable app-key-blanks", "")
        for form in ("AA03 {}", "{}%", "{};", "“{}”", "appKey:{}", "appKey={}")
    },
    "an appId": (verification(appKey="300011112222"), "key-readable app-key-app-id", "form of an appId"),
    "pasted twice": (verification(appKey=APP_KEY * 2), "key-readable app-key-twice", "same text twice"),
    "too long for a block": (verification(appKey="A" * 218), "key-readable app-key-long", "only 217 fit"),
    "the longest": (verification(appKey="A" * 217), "key-readable app-key-unusual", ""),
    "no appKey": (verification(appKey=None), "key-readable field-missing", ""),
    "the other secret": (SIGNING_TEXT, "secrets-swapped secrets-swapped", ""),
    "the platform key alone": (desk.PLATFORM_KEY, "not-json", ""),
    "a private key": (verification(platformPublicKey=PRIVATE), "private-for-public app-key", ""),
    "a small platform key": (
        verification(platformPublicKey=bare_public(desk.SMALL.public_key())),
        "key-small-platform app-key",
        "the platform's to change",
    ),
}
REPORTED: Final[dict[str, tuple[str, str, str]]] = {  # one line without armour
    "bare": (PUBLIC, "key-readable", ""),
    "a line break at the end": (PUBLIC + "\n", "key-readable", ""),
    "PEM": (PUBLIC_PEM, "key-readable reported-form", PUBLIC),
    "PKCS#1": (PUBLIC_PKCS1, "key-readable reported-form", PUBLIC),
    "a name": (f"publicKey:{PUBLIC}", "named reported-form", PUBLIC),
    "cut off": (PUBLIC[:200], "truncated", "tools doctor` prints it too"),
}


SECRETS: Final = {
    f"{about}: {name}": (examine, *case)
    for about, examine, cases in (
        ("signing", partial(examine_secret, kind=SecretKind.SIGNING), SIGNING),
        ("verification", partial(examine_secret, kind=SecretKind.VERIFICATION), OTHERS),
        ("reported", examine_reported, REPORTED),
    )
    for name, case in cases.items()
}


SOUND: Final = {"key-readable", "key-small-platform", "app-key", "app-key-twice", "app-key-unusual"}


@pytest.mark.parametrize(("examine", "content", "codes", "words"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_told_what_it_is_and_none_of_it_is_shown(
    examine: Any, content: str, codes: str, words: str
) -> None:
    found = examine(content, SECRET).findings

    assert [finding.text.key for finding in found] == codes.split()
    assert bool(faults(found)) == bool({*codes.split()} - SOUND)
    shown = " ".join(map(said_of, found))
    assert words in shown
    hidden = (APP_KEY, PRIVATE, "changeme", "300011112222")
    assert not [secret for secret in hidden if secret[:16] in shown]


OURS, THEIRS, THIRD = OWN.public_key(), desk.OTHER.public_key(), desk.BIG.public_key()


@pytest.mark.parametrize(
    ("private", "reported", "platform", "said"),
    [
        (OWN, OURS, THEIRS, "pair"),
        (OWN, THIRD, None, "no-pair"),
        (OWN, None, OURS, "own-key-as-platforms"),
        (None, OURS, OURS, "platforms-key-reported"),
        (OWN, THEIRS, THEIRS, "platforms-key-reported"),
        (None, None, THEIRS, ""),
    ],
)
def test_keys_are_held_against_each_other(private: Any, reported: Any, platform: Any, said: str) -> None:
    findings = list(Keys(private, platform, reported).together())

    assert [finding.text.key for finding in findings] == said.split()
    assert faults(findings) == ([] if said == "pair" else said.split())
    if said == "no-pair":
        assert PUBLIC in said_of(findings[0])
        assert fingerprint(OURS) in said_of(findings[0])
