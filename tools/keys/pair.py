"""`keys new`, `keys put`, `keys check`: the customer's key pair and what the open platform shows for it.

A new private half goes straight to Secrets Manager (guide section 2.1); what is there already is checked
before it is stored.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tools.commands import SAFE_BITS
from tools.findings import FOUND, Finding, Severity, ToolError, failed
from tools.given import SecretKind, name_of, read_file
from tools.key_text import (
    Examined,
    Name,
    bare_private,
    bare_public,
    examine_private,
    examine_public,
    fingerprint,
)
from tools.messages import text
from tools.output import Output
from tools.secret_text import (
    APP_KEY,
    PLATFORM_KEY,
    PRIVATE_KEY,
    Keys,
    examine_reported,
    examine_signing,
    examine_together,
    examine_verification,
    refuse_foreign,
)
from tools.store import Store

_SIGNING: Final = "Signs for China Mobile's H5 number verification: the customer's private key."
_VERIFICATION: Final = (
    "What China Mobile's open platform shows for the app: appKey and the platform's public key."
)


def new(options: argparse.Namespace, output: Output) -> int:
    """Make the pair."""
    name, store = options.secret or SecretKind.SIGNING.value, Store.reach(options)
    store.refuse_taken(name, "signing-taken")
    key = make_key(options.bits, output)
    output.tell("writing-secret", secret=name, region=store.region)
    arn = store.create(name, signing_text(key), _SIGNING, options.kms_key, "signing-taken")
    _show_stored(key, arn, options, output)
    return 0


def put_verification(options: argparse.Namespace, output: Output) -> int:
    """Store appKey and platform key."""
    name = options.secret or SecretKind.VERIFICATION.value
    files = [path and read_file(path) for path in (options.app_key, options.platform_public)]
    store = Store.reach(options)
    if options.replace:
        refuse_foreign(store.read(name), name, SecretKind.VERIFICATION)
    else:
        store.refuse_taken(name, "verification-taken")
        output.tell("writing-secret", secret=name, region=store.region)
    app_key = files[0] or output.ask_secretly("ask-app-key")
    platform_key = files[1] or output.ask_secretly("ask-platform-key")
    content = json.dumps({APP_KEY: app_key.strip(), PLATFORM_KEY: platform_key.strip()})
    found = output.group("what-you-gave", examine_verification(content, text("what-you-gave")).findings)
    output.summary()
    doubtful = any(each.text.key == "app-key-twice" for each in found)
    if failed(found) or (doubtful and not output.is_confirmed("ask-store-anyway")):
        output.tell("nothing-stored")
        return FOUND
    if options.replace:
        store.put(name, content)
    else:
        store.create(name, content, _VERIFICATION, options.kms_key, "verification-taken")
    there = store.describe(name)
    show_parameter("VerificationSecretArn", there.arn, options.kms_key or there.kms_key)
    output.steps("next-deploy", "next-check")
    return 0


def put_signing(options: argparse.Namespace, output: Output) -> int:
    """Store a private key, in the functions' form whatever its own."""
    name = options.secret or SecretKind.SIGNING.value
    file = options.private
    content = read_file(file) if file else output.ask_secretly("ask-private-key")
    examined = examine_private(content, name_of(file) if file else text("what-you-gave"))
    key = examined.meant
    if key is None:
        output.group("what-you-gave", examined.findings)
        output.tell("nothing-stored")
        return FOUND
    store = Store.reach(options)
    if options.replace:
        present = store.read(name)
        refuse_foreign(present, name, SecretKind.SIGNING)
        held = examine_signing(present, name).own
        if held is not None and held.public_key() != key.public_key():
            output.tell("signing-good", secret=name)
            if not output.is_confirmed("ask-replace"):
                output.tell("nothing-stored")
                return FOUND
        store.put(name, signing_text(key))
        arn = store.describe(name).arn
    else:
        arn = store.create(name, signing_text(key), _SIGNING, options.kms_key, "signing-taken")
    output.group("what-you-gave", (each for each in examined.findings if each.severity is not Severity.FAULT))
    _show_stored(key, arn, options, output)
    return 0


def check(options: argparse.Namespace, output: Output) -> int:
    """Check what was named; without a name both secrets."""
    if not any((options.secret, options.private, options.verification_secret, options.platform_public)):
        options.secret = SecretKind.SIGNING.value
        options.verification_secret = SecretKind.VERIFICATION.value
    own = _examined(options, options.secret, options.private, examine_signing, examine_private)
    secret, file = options.verification_secret, options.platform_public
    theirs = _examined(options, secret, file, examine_verification, _examine_platforms)
    reported, found = None, tuple[Finding, ...]()
    if options.public:
        reported, found = examine_reported(read_file(options.public), name_of(options.public))
    together = examine_together(own.own, reported, theirs.platform)
    findings = output.group("step-secrets", [*own.findings, *found, *theirs.findings, *together])
    output.summary()
    if not options.public and own.own is not None:
        output.tell("pair-not-checked")
    return FOUND if failed(findings) else 0


def _examined(
    options: argparse.Namespace,
    secret: str | None,
    file: Path | None,
    examine: Callable[[str, Name], Keys],
    examine_key: Callable[[str, Name], Examined[Any]],
) -> Keys:
    """Examine a secret, or a file with a key or a secret's JSON; nothing where neither is named."""
    if secret:
        store = Store.reach(options)
        try:
            return examine(store.read(secret), secret)
        except ToolError as error:  # a finding, so that the other secret is checked too
            return Keys(findings=(Finding(Severity.FAULT, error.text),))
    if file is None:
        return Keys()
    content, name = read_file(file), name_of(file)
    if content.lstrip("\ufeff \r\n\t").startswith("{") and '"kty"' not in content:
        return examine(content, name)
    examined = examine_key(content, name)
    if isinstance(examined.key, RSAPrivateKey):
        return Keys(own=examined.key, findings=examined.findings)
    return Keys(platform=examined.key, findings=examined.findings)


def _examine_platforms(content: str, name: Name) -> Examined[RSAPublicKey]:
    return examine_public(content, name, "platform")


def make_key(bits: int, output: Output) -> RSAPrivateKey:
    """Make a private key; say why a small one is for a platform that takes no other."""
    if bits < SAFE_BITS:
        output.tell("why-not-1024")
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def signing_text(key: RSAPrivateKey) -> str:
    """Write the text of a signing secret."""
    return json.dumps({PRIVATE_KEY: bare_private(key)})


def show_public_half(key: RSAPublicKey, output: Output) -> None:
    """Print a public half as the open platform wants it, on a line of its own that can be copied whole."""
    print()
    output.show("public-half")
    print(f"\n{bare_public(key)}\n\nSHA-256           {fingerprint(key)}")


def show_parameter(name: str, arn: str, kms_key: str | None) -> None:
    """Print what the deployment's parameters are set to."""
    print(f"\n{name:<17} {arn}")
    if kms_key:
        print(f"KmsKeyArn         {kms_key}")


def _show_stored(key: RSAPrivateKey, arn: str, options: argparse.Namespace, output: Output) -> None:
    show_public_half(key.public_key(), output)
    show_parameter("SigningSecretArn", arn, options.kms_key)
    output.steps("next-paste", "next-verification", "next-deploy", "next-check")
