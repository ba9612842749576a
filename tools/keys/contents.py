"""What is wrong with a secret's text, its fields and how its keys belong together.

The fields are read by the product's own reader (`cmpassport.secret_cache.read_fields`), the keys by
`tools.keys.forms`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import PublicFormat

from cmpassport.keys import KeyFormatError, load_private_key, load_public_key
from cmpassport.secret_cache import SecretFormatError, read_fields
from tools.commands import SecretKind
from tools.errors import WRONG_USE, ToolError
from tools.findings import Finding, fault, fine, warning
from tools.keys.forms import Owner, examine_private, examine_public
from tools.keys.pairs import bare_public, fingerprint

PRIVATE_KEY: Final = "privateKey"
PLATFORM_KEY: Final = "platformPublicKey"
APP_KEY: Final = "appKey"

_USUAL_APP_KEY: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_NUMBER_AND_TIMESTAMP: Final = 11 + 17
"""Bytes that are encrypted together with the appKey (guide section 3.2.1.1)."""
_PADDING: Final = 11
"""Bytes of a block that RSAES-PKCS1-v1_5 needs for itself."""
_KEEP_SHORT: Final = 40


@dataclass(frozen=True, slots=True)
class Signing:
    """What was found of a signing secret or of a private key alone; `key` is None where it is none."""

    key: RSAPrivateKey | None = field(repr=False)
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found of a verification secret or of a platform key alone."""

    platform_key: RSAPublicKey | None
    findings: tuple[Finding, ...]


_MEMBERS: Final = {
    SecretKind.SIGNING: frozenset({PRIVATE_KEY}),
    SecretKind.VERIFICATION: frozenset({APP_KEY, PLATFORM_KEY}),
    SecretKind.RECEIPTS: frozenset({"keys", "hashKey", "encryptionKey"}),
}
_KEY_BEGINS: Final = ("-----BEGIN", "MI")
"""How a key alone begins, as PEM or as Base64."""


def refuse_foreign(text: str, name: str, kind: SecretKind) -> None:
    """Refuse to write into a secret that holds something else; a broken one of its kind may be mended.

    Raises
    ------
    ToolError
        Its text is not what a secret of this kind holds, not even a broken one.
    """
    own, held = _folded(_MEMBERS[kind]), _members_of(text)
    others = _folded(frozenset[str]().union(*_MEMBERS.values())) - own
    alone = kind is not SecretKind.RECEIPTS and _is_bare(text.strip())
    if held & others or not (held & own or alone or text.strip() in {"", "{}"}):
        raise ToolError(
            f"secret {name} holds something else than {' and '.join(sorted(_MEMBERS[kind]))}; it stays as "
            "it is",
            f"Name the right secret with --secret; the usual one is {kind.value}.",
            WRONG_USE,
        )


def _members_of(text: str) -> frozenset[str]:
    """Give the names of a text's members, also where it is JSON no more."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    return _folded(content if isinstance(content, dict) else re.findall(r"[A-Za-z_-]+", text))


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(re.sub("[_-]", "", name).lower() for name in names)


def _is_bare(text: str) -> bool:
    return text.strip('"').startswith(_KEY_BEGINS) or _USUAL_APP_KEY.fullmatch(text) is not None


def examine_signing(text: str, name: str) -> Signing:
    """Examine the text of a signing secret, `{"privateKey"}`; `name` is the secret's."""
    wrong, (private_key,) = _fields(text, name, (PRIVATE_KEY,))
    if private_key is None:
        return Signing(None, wrong)
    examined = examine_private(private_key, f"{PRIVATE_KEY} of {name}")
    return Signing(examined.key, (*wrong, *examined.findings))


def examine_verification(text: str, name: str) -> Verification:
    """Examine the text of a verification secret, `{"appKey", "platformPublicKey"}`."""
    wrong, (app_key, platform_key) = _fields(text, name, (APP_KEY, PLATFORM_KEY))
    key, findings = None, list(wrong)
    if platform_key is not None:
        examined = examine_public(platform_key, f"{PLATFORM_KEY} of {name}", Owner.PLATFORM)
        key = examined.key
        findings += examined.findings
    if app_key is not None:
        findings += _app_key(app_key, name, key)
    return Verification(key, tuple(findings))


def examine_reported(text: str, name: str) -> tuple[RSAPublicKey | None, tuple[Finding, ...]]:
    """Examine the public half as it was pasted into the open platform, which reads one form alone."""
    examined = examine_public(text, name)
    if examined.key is None:
        return None, examined.findings
    size, *_ = examined.findings
    wanted = bare_public(examined.key)
    if text.strip() == wanted:
        return examined.key, (size, fine("reported-form", f"{name} is in the open platform's form."))
    pkcs1 = bare_public(examined.key, PublicFormat.PKCS1)
    form = "PKCS#1" if pkcs1 in "".join(text.split()) else "PEM, or Base64 over several lines"
    finding = fault(
        "reported-form",
        f"{name} is the right kind of key, but as {form}; the open platform wants X.509 as Base64 on one "
        "line, without armour.",
        f"If this is how it was pasted there, paste this line instead: `{wanted}`",
    )
    return examined.key, (size, finding)


def examine_together(
    private_key: RSAPrivateKey | None, reported: RSAPublicKey | None, platform_key: RSAPublicKey | None
) -> Iterator[Finding]:
    """Examine how keys belong together; None for what is not there or is no key."""
    own = None if private_key is None else private_key.public_key()
    if reported is not None and own is not None and reported == platform_key != own:
        yield fault(
            "platforms-key-reported",
            f"What was given as your public half is {PLATFORM_KEY}: the platform's own key, and not yours.",
            "Give what stands on the open platform as the customer's public key (客户公钥). It has to be: "
            f"`{bare_public(own)}`",
        )
        return
    if own is not None and reported is not None:
        yield _pair(own, reported)
    if platform_key is None:
        return
    if own is None and platform_key == reported:
        yield fault(
            "one-key-in-both-places",
            f"What was given as your public half is the same key as {PLATFORM_KEY}; which of both is wrong, "
            "only the signing secret can tell.",
            "Compare both with the app's page on the open platform: the customer's key is 客户公钥, the "
            "platform's 平台公钥.",
        )
    elif platform_key == own:
        yield fault(
            "own-key-as-platforms",
            f"{PLATFORM_KEY} is your own public key: the platform cannot decrypt what is encrypted with it, "
            "and answers 130016 or 999999.",
            "Take the platform's public key (平台公钥) from the app's page on the open platform: `python -m "
            "tools keys put verification --replace`.",
        )
    elif own is not None:
        yield fine("platform-key-apart", f"{PLATFORM_KEY} is another key than your own, as it should be.")


def _pair(own: RSAPublicKey, reported: RSAPublicKey) -> Finding:
    if own == reported:
        return fine("pair", f"The halves are a pair; SHA-256 {fingerprint(own)}.")
    return fault(
        "no-pair",
        f"The halves are no pair: the private key's public half has SHA-256 {fingerprint(own)}, the reported "
        f"one {fingerprint(reported)}. The platform answers 130018 or 130016.",
        f"Paste this into the open platform as the customer's public key: `{bare_public(own)}`. Or, in the "
        "midst of a rotation, finish it: `python -m tools keys rotate`.",
    )


# The text and its fields.


def _fields(
    text: str, name: str, wanted: Sequence[str]
) -> tuple[tuple[Finding, ...], tuple[str | None, ...]]:
    """Give each field's value, None where it is not to be had, and what is wrong with the text itself."""
    values, findings = list[str | None](), list[Finding]()
    for each in wanted:
        try:
            values += read_fields(text, each)
        except SecretFormatError as refusal:
            values.append(None)
            finding = _wrong_text(text, name, each, wanted, str(refusal))
            if finding not in findings:
                findings.append(finding)
    return tuple(findings), tuple(values)


def _wrong_text(text: str, name: str, missing: str, wanted: Sequence[str], refusal: str) -> Finding:
    form = "{" + ", ".join(f'"{each}": "…"' for each in wanted) + "}"
    what = "signing --private FILE" if PRIVATE_KEY in wanted else "verification"
    command = f"`python -m tools keys put {what} --replace`"
    if PRIVATE_KEY in wanted:
        command += " (or the former key back: `python -m tools keys rotate --step rollback`)"
    try:
        content = json.loads(text)
    except ValueError:
        return _no_json(text, name, form, command)
    if not isinstance(content, dict):
        return fault(
            "secret-not-object", f"{name} is JSON, but no object.", f"Its text has to be {form}: {command}."
        )
    if near := _near(content, missing):
        return fault(
            "field-misspelled",
            f"{name} has no {missing}, but {near}.",
            f"Name the field {missing}, letter by letter: {form}.",
        )
    other = {PRIVATE_KEY, APP_KEY, PLATFORM_KEY} - {*wanted}
    if other & {*content} and not {*wanted} & {*content}:
        return fault(
            "secrets-swapped",
            f"{name} has no {missing}, but {' and '.join(sorted(other & {*content}))}: it is the other "
            "secret.",
            "Either SigningSecretArn and VerificationSecretArn are swapped, or the wrong value was put into "
            f"it: `aws secretsmanager list-secret-version-ids --secret-id {name}` lists the former ones.",
        )
    state = "is there, but empty or no text" if missing in content else "is missing"
    return fault(
        "field-missing", f"{name}: {missing} {state} ({refusal}).", f"Its text has to be {form}: {command}."
    )


def _no_json(text: str, name: str, form: str, command: str) -> Finding:
    if _is_a_key(text):
        return fault(
            "bare-key",
            f"{name} is a key alone; the functions want JSON with the key in a field.",
            f"Its text has to be {form}: {command}.",
        )
    if text.strip().startswith("{"):
        return fault(
            "json-broken",
            f"{name} begins like JSON, but is none: a shell has eaten its quotation marks, or a PEM's line "
            "breaks stand in it as they are.",
            f"Its text has to be {form}: {command}, which needs no shell quoting.",
        )
    return fault("not-json", f"{name} is not JSON.", f"Its text has to be {form}: {command}.")


def _is_a_key(text: str) -> bool:
    for load in (load_private_key, load_public_key):
        try:
            load(text)
        except KeyFormatError:
            continue
        return True
    return False


def _near(content: dict[str, Any], wanted: str) -> str | None:
    """Find a field that is meant to be the wanted one; its name is repeated only if it is that near."""
    for each in content:
        if each != wanted and re.sub(r"[^a-z]", "", each.lower()) == wanted.lower():
            return repr(each) if len(each) < _KEEP_SHORT else "a field of nearly that name"
    return None


def _app_key(app_key: str, name: str, platform_key: RSAPublicKey | None) -> Iterator[Finding]:
    what = f"{APP_KEY} of {name}"
    if not app_key.isascii() or not app_key.isprintable() or " " in app_key:
        yield fault(
            "app-key-blanks",
            f"{what} has blanks, line breaks or other characters inside that no appKey has.",
            "Copy it again from the app's page on the open platform: `python -m tools keys put verification "
            "--replace`.",
        )
        return
    room = None if platform_key is None else platform_key.key_size // 8 - _PADDING - _NUMBER_AND_TIMESTAMP
    if room is not None and len(app_key) > room:
        yield fault(
            "app-key-long",
            f"{what} has {len(app_key)} characters; with number and timestamp only {room} fit into one "
            "block.",
            "Is it the appKey (32 hexadecimal digits), or something else of the open platform's page?",
        )
    elif not _USUAL_APP_KEY.fullmatch(app_key):
        yield warning(
            "app-key-unusual",
            f"{what} has {len(app_key)} characters; known ones are 32 hexadecimal digits.",
            "Compare it with the app's page on the open platform: is it the appKey, and neither appId nor "
            "appSecret?",
        )
    else:
        yield fine("app-key", f"{what} has the usual form, 32 hexadecimal digits.")
