"""What is wrong with a secret's text, its fields and how its keys belong together.

The fields are read by the product's own reader (`cmpassport.secret_cache.read_fields`), the keys by
`tools.key_text`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from cmpassport.secret_cache import SecretFormatError, read_fields, read_object
from tools.findings import Finding, UseError, fault, fine, warning
from tools.given import SecretKind
from tools.key_text import Name, bare_private, bare_public, examine_private, examine_public, fingerprint
from tools.messages import text
from tools.store import Secret

_MEMBERS: Final = {
    SecretKind.SIGNING: ("privateKey",),
    SecretKind.VERIFICATION: ("platformPublicKey", "appKey"),  # the key says how long an appKey may be
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
    reported: RSAPublicKey | None = None
    findings: tuple[Finding, ...] = ()

    def __or__(self, other: "Keys") -> "Keys":
        keys = (self.own or other.own, self.platform or other.platform, self.reported or other.reported)
        return Keys(*keys, (*self.findings, *other.findings))

    def together(self) -> Iterator[Finding]:
        """Examine how the keys belong together."""
        own = None if self.own is None else self.own.public_key()
        if self.reported is not None and self.reported == self.platform != own:
            yield fault("platforms-key-reported")
        elif own is not None and self.reported is not None:
            reported = fingerprint(self.reported)
            prints = {"own": fingerprint(own), "reported": reported, "line": bare_public(own)}
            yield fine("pair", **prints) if own == self.reported else fault("no-pair", **prints)
        if self.platform is not None and self.platform == own:
            yield fault("own-key-as-platforms")


def signing_text(key: RSAPrivateKey, others: Mapping[str, Any] | None = None) -> str:
    """Write the text of a signing secret; `others` are the fields of the former text, which stay."""
    return json.dumps({**(others or {}), "privateKey": bare_private(key)})


def read_own(secret: Secret, kind: SecretKind) -> str:
    """Return the text of a secret that is to be changed; one that holds something else is left alone.

    A broken one of its kind may be replaced.
    """
    content = secret.read()
    try:
        names: Iterable[str] = read_object(content)
    except SecretFormatError:
        names = re.findall(r"[A-Za-z_-]+", content)
    own, held = _folded(_MEMBERS[kind]), _folded(names)
    others = _folded(each for members in _MEMBERS.values() for each in members) - own
    bare = content.strip().strip('"')
    is_key = bare.startswith(("-----BEGIN", "MI")) or _USUAL_APP_KEY.fullmatch(bare)
    broken = (is_key and kind is not SecretKind.RECEIPTS) or content.strip() in {"", "{}"}
    if held & others or not (held & own or broken):
        wanted = ", ".join(sorted(_MEMBERS[kind]))
        raise UseError("secret-foreign", secret=secret.name, wanted=wanted, usual=kind.value)
    return content


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(re.sub("[_-]", "", name).lower() for name in names)


def examine_secret(content: str, name: Name, kind: SecretKind) -> Keys:
    """Examine the text of a signing or a verification secret, whose name is `name`."""
    keys, findings = Keys(), list[Finding]()
    for member in _MEMBERS[kind]:
        called = text("field-of", field=member, secret=name)
        try:
            (value,) = read_fields(content, member)
        except SecretFormatError:
            wrong = _wrong_text(content, name, member, kind)
            findings += [wrong] if wrong not in findings else []
            continue
        if member == "appKey":
            findings.append(_app_key(value, called, keys.platform))
        else:
            keys = _examine_key(value, called, kind)
    return keys | Keys(findings=tuple(findings))


def examine_file(content: str, name: Name, kind: SecretKind) -> Keys:
    """Examine what a file holds, a secret's JSON or one key alone."""
    if content.lstrip("\ufeff \r\n\t").startswith("{") and '"kty"' not in content:
        return examine_secret(content, name, kind)
    return _examine_key(content, name, kind)


def _examine_key(content: str, name: Name, kind: SecretKind) -> Keys:
    if kind is SecretKind.SIGNING:
        own = examine_private(content, name)
        return Keys(own=own.key, findings=own.findings)
    platform = examine_public(content, name, "platform")
    return Keys(platform=platform.key, findings=platform.findings)


def examine_reported(content: str, name: Name) -> Keys:
    """Examine the public half as it was pasted into the open platform, which reads one form alone."""
    examined = examine_public(content, name)
    key, findings = examined.meant, examined.findings
    if key is not None and content.strip() != bare_public(key):
        findings = (*findings, fault("reported-form", name=name, line=bare_public(key)))
    return Keys(reported=key, findings=findings)


def _wrong_text(content: str, name: Name, missing: str, kind: SecretKind) -> Finding:
    wanted = _MEMBERS[kind]
    form = json.dumps(dict.fromkeys(sorted(wanted), "…"), ensure_ascii=False)
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
    if not re.fullmatch("[A-Za-z0-9_+/-]+=*", app_key):  # zsh's %, quotes, the name before it
        return fault("app-key-blanks", name=name)
    if room is not None and length > room:
        return fault("app-key-long", name=name, length=length, room=room)
    if _USUAL_APP_KEY.fullmatch(app_key):
        return fine("app-key", name=name)
    if re.fullmatch(r"[0-9]{6}|[0-9]{12}", app_key):
        return fault("app-key-app-id", name=name, length=length)
    return warning(f"app-key-{'twice' if half * 2 == app_key else 'unusual'}", name=name, length=length)
