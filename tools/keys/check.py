"""`keys check`: are the keys right, do they belong together, and what exactly is wrong if not."""

import argparse
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tools.aws import add_aws_options
from tools.commands import SecretKind
from tools.errors import FOUND, ToolError
from tools.findings import Finding, fault
from tools.keys.contents import (
    Signing,
    Verification,
    examine_reported,
    examine_signing,
    examine_together,
    examine_verification,
)
from tools.keys.forms import Owner, examine_private, examine_public
from tools.keys.new import SIGNING_SECRET
from tools.keys.people import name_of, only_one_reads_standard_input, read_file, say, secret_name
from tools.keys.put import VERIFICATION_SECRET
from tools.keys.report import show_findings
from tools.keys.store import Store
from tools.text import HelpFormatter

_EXAMPLES: Final = """
examples:
  python -m tools keys check                                both secrets by their usual names
  python -m tools keys check --public reported.txt          and the public half that the open platform has
  python -m tools keys check --private key.pem --public reported.txt        files alone, no AWS
  pbpaste | python -m tools keys check --public -

A file holds one key, or a secret's JSON. Exit code 0: nothing is wrong; 1: something is.
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="are the keys right, and what exactly is wrong if not",
        description="Look at keys in secrets or files: form, size, whether the halves are a pair. Without "
        f"options the secrets {SIGNING_SECRET} and {VERIFICATION_SECRET} are read. No private key is shown.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    signing = parser.add_mutually_exclusive_group()
    signing.add_argument("--secret", type=secret_name, metavar="NAME", help='signing secret, {"privateKey"}')
    signing.add_argument("--private", type=Path, metavar="FILE", help="the private key; - for standard input")
    verification = parser.add_mutually_exclusive_group()
    verification.add_argument(
        "--verification-secret",
        type=secret_name,
        metavar="NAME",
        help='verification secret, {"appKey", "platformPublicKey"}',
    )
    verification.add_argument(
        "--platform-public", type=Path, metavar="FILE", help="the platform's public key"
    )
    parser.add_argument(
        "--public", type=Path, metavar="FILE", help="the public half as it was pasted into the open platform"
    )
    add_aws_options(parser)
    parser.set_defaults(run=run, kind=SecretKind.SIGNING)


def run(arguments: argparse.Namespace) -> int:
    """Check what was named."""
    only_one_reads_standard_input(arguments.private, arguments.platform_public, arguments.public)
    sources = (arguments.secret, arguments.private, arguments.verification_secret, arguments.platform_public)
    if not any(sources):
        arguments.secret, arguments.verification_secret = SIGNING_SECRET, VERIFICATION_SECRET
    signing, verification = _signing(arguments), _verification(arguments)
    reported, found = _reported(arguments)
    findings = [
        *signing.findings,
        *found,
        *verification.findings,
        *examine_together(signing.key, reported, verification.platform_key),
    ]
    wrong = show_findings(arguments, "Keys", findings)
    if not arguments.public and signing.key is not None:
        say("Does the open platform have this pair's public half? Add --public FILE, with what was pasted.")
    return FOUND if wrong else 0


def _signing(arguments: argparse.Namespace) -> Signing:
    if arguments.secret:
        text, finding = _read_secret(arguments, arguments.secret)
        return Signing(None, (finding,)) if finding else examine_signing(text, arguments.secret)
    if not arguments.private:
        return Signing(None, ())
    text, name = read_file(arguments.private), name_of(arguments.private)
    if _is_object(text):
        return examine_signing(text, name)
    examined = examine_private(text, name)
    return Signing(examined.key, examined.findings)


def _verification(arguments: argparse.Namespace) -> Verification:
    if arguments.verification_secret:
        text, finding = _read_secret(arguments, arguments.verification_secret)
        return (
            Verification(None, (finding,))
            if finding
            else examine_verification(text, arguments.verification_secret)
        )
    if not arguments.platform_public:
        return Verification(None, ())
    text, name = read_file(arguments.platform_public), name_of(arguments.platform_public)
    if _is_object(text):
        return examine_verification(text, name)
    examined = examine_public(text, name, Owner.PLATFORM)
    return Verification(examined.key, examined.findings)


def _reported(arguments: argparse.Namespace) -> tuple[RSAPublicKey | None, tuple[Finding, ...]]:
    if not arguments.public:
        return None, ()
    return examine_reported(read_file(arguments.public), name_of(arguments.public))


def _read_secret(arguments: argparse.Namespace, name: str) -> tuple[str, Finding | None]:
    """Read a secret; one that cannot be read is a finding, so that the other is looked at too."""
    store = Store.reach(arguments)
    try:
        return store.read(name), None
    except ToolError as error:
        return "", fault("secret-unreadable", f"{error}.", error.remedy)


def _is_object(text: str) -> bool:
    """Tell a secret's JSON from a key."""
    return text.lstrip().startswith("{") and '"kty"' not in text
