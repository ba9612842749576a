"""`keys new`, `keys put`, `keys check`: the customer's key pair and what the open platform shows for it.

A new private half goes straight to Secrets Manager (guide section 2.1); what is there already is checked
before it is stored.
"""

import argparse
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tools.aws import Aws
from tools.commands import SAFE_BITS
from tools.findings import Finding, Severity, ToolError
from tools.given import SecretKind, name_of, read_file
from tools.key_text import bare_public, examine_private, fingerprint
from tools.messages import text
from tools.output import Output
from tools.secret_text import Keys, examine_file, examine_reported, examine_secret, read_own, signing_text
from tools.store import Secret


def new(options: argparse.Namespace, output: Output) -> int:
    """Make the pair."""
    secret, _ = _target(options, output)
    key = make_key(options.bits, output)
    _store_pair(key, secret, options, output)
    return 0


def put_verification(options: argparse.Namespace, output: Output) -> int:
    """Store appKey and platform key."""
    files = [path and read_file(path) for path in (options.app_key, options.platform_public)]
    secret, _ = _target(options, output)
    app_key = output.ask_secretly("ask-app-key") if files[0] is None else files[0]
    platform_key = output.ask_secretly("ask-platform-key") if files[1] is None else files[1]
    content = json.dumps({"appKey": app_key.strip(), "platformPublicKey": platform_key.strip()})
    found = examine_secret(content, text("what-you-gave"), SecretKind.VERIFICATION).findings
    output.group("what-you-gave", found)
    if output.summary():
        raise ToolError("nothing-stored")
    if any(each.text.key == "app-key-twice" for each in found):
        output.confirm("ask-store-anyway")
    _store(content, secret, options)
    show_parameter("VerificationSecretArn", secret, options.kms_key)
    output.steps("next-deploy", "next-check")
    return 0


def put_signing(options: argparse.Namespace, output: Output) -> int:
    """Store a private key, in the functions' form whatever its own."""
    file = options.private
    content = file and read_file(file)
    secret, present = _target(options, output)
    if content is None:
        content = output.ask_secretly("ask-private-key")
    examined = examine_private(content, name_of(file) if file else text("what-you-gave"))
    key = examined.meant
    if key is None:
        output.group("what-you-gave", examined.findings)
        raise ToolError("nothing-stored")
    held = present and examine_secret(present, secret.name, SecretKind.SIGNING).own
    if held and held.public_key() != key.public_key():
        output.confirm("ask-replace", secret=secret.name)
    output.group("what-you-gave", (each for each in examined.findings if each.severity is not Severity.FAULT))
    _store_pair(key, secret, options, output)
    return 0


def _target(options: argparse.Namespace, output: Output) -> tuple[Secret, str]:
    """Return the secret to write, and what it holds; a ToolError where that stays as it is.

    So what keeps it from being written is told before anything is asked for.
    """
    secret = Secret.of(options)
    if options.replace:
        return secret, read_own(secret, options.kind)
    secret.refuse_taken(options.kind)
    output.tell("writing-secret", secret=secret.name, region=secret.region)
    return secret, ""


def _store(content: str, secret: Secret, options: argparse.Namespace) -> None:
    if options.replace:
        secret.put(content)
    else:
        secret.create(content, options.kind, options.kms_key)


def _store_pair(key: RSAPrivateKey, secret: Secret, options: argparse.Namespace, output: Output) -> None:
    _store(signing_text(key), secret, options)
    show_public_half(key.public_key(), output)
    show_parameter("SigningSecretArn", secret, options.kms_key)
    output.steps("next-paste", "next-verification", "next-deploy", "next-check")


def check(options: argparse.Namespace, output: Output) -> int:
    """Check what was named; without a name both secrets."""
    if not any((options.secret, options.private, options.verification_secret, options.platform_public)):
        options.secret = SecretKind.SIGNING.value
        options.verification_secret = SecretKind.VERIFICATION.value
    keys = _examined(options, options.secret, options.private, SecretKind.SIGNING)
    if options.public:
        keys |= examine_reported(read_file(options.public), name_of(options.public))
    secret, file = options.verification_secret, options.platform_public
    keys |= _examined(options, secret, file, SecretKind.VERIFICATION)
    output.group("step-secrets", [*keys.findings, *keys.together()])
    code = output.summary()
    if not options.public and keys.own is not None:
        output.tell("pair-not-checked")
    return code


def _examined(options: argparse.Namespace, secret: str | None, file: Path | None, kind: SecretKind) -> Keys:
    """Examine a secret or a file; nothing where neither is named."""
    if file:
        return examine_file(read_file(file), name_of(file), kind)
    if not secret:
        return Keys()
    held = Secret(Aws(options), secret)
    try:
        return examine_secret(held.read(), secret, kind)
    except ToolError as error:  # a finding, so that the other secret is checked too
        return Keys(findings=(Finding(Severity.FAULT, error.text),))


def make_key(bits: int, output: Output) -> RSAPrivateKey:
    """Make a private key; say why a small one is for a platform that takes no other."""
    if bits < SAFE_BITS:
        output.tell("why-not-1024")
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def show_public_half(key: RSAPublicKey, output: Output) -> None:
    """Print a public half as the open platform wants it, on a line of its own that can be copied whole."""
    print()
    output.show("public-half")
    print(f"\n{bare_public(key)}\n\nSHA-256           {fingerprint(key)}")


def show_parameter(parameter: str, secret: Secret, kms_key: str | None) -> None:
    """Print what the deployment's parameters are set to."""
    there = secret.describe()
    print(f"\n{parameter:<17} {there.arn}")
    if kms_key or there.kms_key:
        print(f"KmsKeyArn         {kms_key or there.kms_key}")
