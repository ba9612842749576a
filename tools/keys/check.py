"""`keys check`: are the keys right, do they belong together, and what exactly is wrong if not."""

import argparse

from tools.findings import FOUND, Finding, Severity, ToolError, failed
from tools.given import SecretKind
from tools.key_text import Name, examine_private, examine_public
from tools.keys.store import Store
from tools.output import Output
from tools.prompts import name_of, only_one_reads_standard_input, read_file
from tools.secret_text import Keys, examine_reported, examine_signing, examine_together, examine_verification


def run(options: argparse.Namespace, output: Output) -> int:
    """Check what was named; without a name both secrets."""
    only_one_reads_standard_input(options.private, options.platform_public, options.public)
    if not any((options.secret, options.private, options.verification_secret, options.platform_public)):
        options.secret = SecretKind.SIGNING.value
        options.verification_secret = SecretKind.VERIFICATION.value
    signing, verification = _signing(options), _verification(options)
    reported, found = None, tuple[Finding, ...]()
    if options.public:
        reported, found = examine_reported(read_file(options.public), name_of(options.public))
    together = examine_together(signing.own, reported, verification.platform)
    findings = output.group("step-keys", [*signing.findings, *found, *verification.findings, *together])
    output.summary()
    if not options.public and signing.own is not None:
        output.tell("pair-not-checked")
    return FOUND if failed(findings) else 0


def _signing(options: argparse.Namespace) -> Keys:
    if options.secret:
        content = _read_secret(options, options.secret)
        return content if isinstance(content, Keys) else examine_signing(content, options.secret)
    if not options.private:
        return Keys()
    content, name = read_file(options.private), name_of(options.private)
    if _is_object(content):
        return examine_signing(content, name)
    examined = examine_private(content, name)
    return Keys(own=examined.key, findings=examined.findings)


def _verification(options: argparse.Namespace) -> Keys:
    if options.verification_secret:
        content = _read_secret(options, options.verification_secret)
        return (
            content
            if isinstance(content, Keys)
            else examine_verification(content, options.verification_secret)
        )
    if not options.platform_public:
        return Keys()
    content, name = read_file(options.platform_public), name_of(options.platform_public)
    if _is_object(content):
        return examine_verification(content, name)
    examined = examine_public(content, name, "platform")
    return Keys(platform=examined.key, findings=examined.findings)


def _read_secret(options: argparse.Namespace, name: Name) -> str | Keys:
    """Read a secret; one that cannot be read is a finding, so that the other is checked too."""
    store = Store.reach(options)
    try:
        return store.read(str(name))
    except ToolError as error:
        return Keys(findings=(Finding("secret-unreadable", Severity.FAULT, error.text),))


def _is_object(content: str) -> bool:
    """Tell a secret's JSON from a key."""
    return content.lstrip("\ufeff \r\n\t").startswith("{") and '"kty"' not in content
