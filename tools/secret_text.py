"""What is wrong with a secret's text, its fields and how its keys belong together.

The fields are read by the product's own reader (`cmpassport.secret_cache.read_fields`), the keys by
`tools.key_text`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.secret_cache import SecretFormatError, read_fields, read_object
from tools.findings import Finding, UseError, fault, fine, warning
from tools.given import SecretKind
from tools.key_text import Name, bare_public, examine_private, examine_public, fingerprint
from tools.messages import text

PRIVATE_KEY: Final = "privateKey"
PLATFORM_KEY: Final = "platformPublicKey"
APP_KEY: Final = "appKey"

_MEMBERS: Final = {
    SecretKind.SIGNING: (PRIVATE_KEY,),
    SecretKind.VERIFICATION: (APP_KEY, PLATFORM_KEY),
    SecretKind.RECEIPTS: ("keys", "hashKey", "encryptionKey"),
}
_USUAL_APP_KEY: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_AROUND: Final = 11 + 11 + 17
"""Bytes of a block beside the appKey: RSAES-PKCS1-v1_5's own, number, timestamp (guide section 3.2.1.1)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What was found of a secret, or of keys alone; None for what is not there or is not a key."""

    own: RSAPrivateKey | None = field(default=None, repr=False)
    platform: RSAPublicKey | None = None
    findings: tuple[Finding, ...] = ()


def refuse_foreign(content: str, name: str, kind: SecretKind) -> None:
    """Refuse to write into a secret that holds something else; a broken one of its kind may be replaced."""
    try:
        names: Iterable[str] = read_object(content)
    except SecretFormatError:
        names = re.findall(r"[A-Za-z_-]+", content)
    own, held = _folded(_MEMBERS[kind]), _folded(names)
    others = _folded(each for members in _MEMBERS.values() for each in members) - own
    alone = _is_key_alone(content) and kind is not SecretKind.RECEIPTS
    broken = alone or content.strip() in {"", "{}"}
    if held & others or not (held & own or broken):
        raise UseError("secret-foreign", secret=name, wanted=", ".join(_MEMBERS[kind]), usual=kind.value)


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(re.sub("[_-]", "", name).lower() for name in names)


def _is_key_alone(content: str) -> bool:
    bare = content.strip().strip('"')
    return bare.startswith(("-----BEGIN", "MI")) or bool(_USUAL_APP_KEY.fullmatch(bare))


def examine_signing(content: str, name: Name) -> Keys:
    """Examine the text of a signing secret, `{"privateKey"}`; `name` is the secret's."""
    wrong, (private_key,) = _fields(content, name, SecretKind.SIGNING)
    if private_key is None:
        return Keys(findings=wrong)
    examined = examine_private(private_key, text("field-of", field=PRIVATE_KEY, secret=name))
    return Keys(own=examined.key, findings=(*wrong, *examined.findings))


def examine_verification(content: str, name: Name) -> Keys:
    """Examine the text of a verification secret, `{"appKey", "platformPublicKey"}`."""
    wrong, (app_key, platform_key) = _fields(content, name, SecretKind.VERIFICATION)
    key, findings = None, list(wrong)
    if platform_key is not None:
        examined = examine_public(platform_key, text("field-of", field=PLATFORM_KEY, secret=name), "platform")
        key, findings = examined.key, [*findings, *examined.findings]
    if app_key is not None:
        findings.append(_app_key(app_key, text("field-of", field=APP_KEY, secret=name), key))
    return Keys(platform=key, findings=tuple(findings))


def examine_reported(content: str, name: Name) -> tuple[RSAPublicKey | None, tuple[Finding, ...]]:
    """Examine the public half as it was pasted into the open platform, which reads one form alone."""
    examined = examine_public(content, name)
    if examined.key is None or content.strip() == bare_public(examined.key):
        return examined.key, examined.findings
    form = fault("reported-form", name=name, line=bare_public(examined.key))
    return examined.key, (*examined.findings, form)


def examine_together(
    private_key: RSAPrivateKey | None, reported: RSAPublicKey | None, platform_key: RSAPublicKey | None
) -> Iterator[Finding]:
    """Examine how keys belong together; None for what is not there or is not a key."""
    own = None if private_key is None else private_key.public_key()
    if reported is not None and reported == platform_key != own:
        yield fault("platforms-key-reported")
    elif own is not None and reported is not None:
        prints = {"own": fingerprint(own), "reported": fingerprint(reported), "line": bare_public(own)}
        yield fine("pair", **prints) if own == reported else fault("no-pair", **prints)
    if platform_key is not None and platform_key == own:
        yield fault("own-key-as-platforms")


# The text and its fields.


def _fields(content: str, name: Name, kind: SecretKind) -> tuple[tuple[Finding, ...], tuple[str | None, ...]]:
    """Return what is wrong with the text itself, and each field's value, None where it has none."""
    values, findings = list[str | None](), list[Finding]()
    for each in _MEMBERS[kind]:
        try:
            values += read_fields(content, each)
        except SecretFormatError:
            values.append(None)
            finding = _wrong_text(content, name, each, kind)
            if finding not in findings:
                findings.append(finding)
    return tuple(findings), tuple(values)


def _wrong_text(content: str, name: Name, missing: str, kind: SecretKind) -> Finding:
    wanted = _MEMBERS[kind]
    form = json.dumps(dict.fromkeys(wanted, "…"), ensure_ascii=False)
    words = {"name": name, "put": text(f"put-{kind.name.lower()}", form=form)}
    try:
        document = read_object(content)
    except SecretFormatError:
        return fault("not-json", **words)
    others = {each for members in _MEMBERS.values() for each in members if each not in wanted} & {*document}
    if others and not {*wanted} & {*document}:
        return fault("secrets-swapped", field=missing, held=", ".join(sorted(others)), **words)
    return fault("field-missing", field=missing, **words)


def _app_key(app_key: str, name: Name, platform_key: RSAPublicKey | None) -> Finding:
    length, half = len(app_key), app_key[: len(app_key) // 2]
    room = None if platform_key is None else platform_key.key_size // 8 - _AROUND
    if not app_key.isascii() or not app_key.isprintable() or " " in app_key:
        return fault("app-key-blanks", name=name)
    if room is not None and length > room:
        return fault("app-key-long", name=name, length=length, room=room)
    if _USUAL_APP_KEY.fullmatch(app_key):
        return fine("app-key", name=name)
    if re.fullmatch(r"[0-9]{6}|[0-9]{12}", app_key):
        return fault("app-key-app-id", name=name, length=length)
    return warning(f"app-key-{'twice' if half * 2 == app_key else 'unusual'}", name=name, length=length)
