"""`keys put`: stores keys that are there already: appKey and platform key, or a private key."""

import argparse
import json
from pathlib import Path
from typing import Final

from tools.aws import add_aws_options
from tools.commands import SecretKind
from tools.errors import FOUND, ToolError
from tools.findings import Severity
from tools.keys.contents import APP_KEY, PLATFORM_KEY, examine_signing, examine_verification, refuse_foreign
from tools.keys.forms import examine_private
from tools.keys.new import create_signing, show_next_of_pair, signing_text
from tools.keys.people import (
    add_secret_option,
    ask_for_key,
    ask_secretly,
    name_of,
    only_one_reads_standard_input,
    read_file,
    say,
)
from tools.keys.report import show_findings, show_next, show_parameter, show_public_half
from tools.keys.store import AlreadyThereError, Store
from tools.text import HelpFormatter

VERIFICATION_SECRET: Final = SecretKind.VERIFICATION.value

_DESCRIPTION: Final = (
    "What China Mobile's open platform shows for the app: appKey and the platform's public key."
)
_EXAMPLES: Final = """
examples:
  python -m tools keys put verification                          asks for both
  python -m tools keys put verification --platform-public platform.txt
  python -m tools keys put verification --replace                a new appKey or platform key
  python -m tools keys put signing --private key.pem             a pair that was made elsewhere

No key is taken from the command line, where the shell's history and other users would see it.
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "put",
        help="store the appKey and the platform's key, or a private key that is there",
        description="Store keys that are there already, after a look at their form.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    kinds = parser.add_subparsers(title="what to store", required=True, metavar="KIND")
    _add_verification(kinds)
    _add_signing(kinds)
    for kind in kinds.choices.values():
        kind.add_argument(
            "--kms-key", metavar="ID", help="KMS key of a new secret (default: the account's own)"
        )
        add_aws_options(kind)


def _add_verification(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = kinds.add_parser(
        "verification",
        help="appKey and the platform's public key, as the open platform shows them",
        description="Store appKey and the platform's public key, each asked for unless a file is named.",
    )
    parser.add_argument("--app-key", type=Path, metavar="FILE", help="file with the appKey; - for stdin")
    parser.add_argument(
        "--platform-public",
        type=Path,
        metavar="FILE",
        help="file with the platform's public key; - for stdin",
    )
    parser.add_argument("--replace", action="store_true", help="give a secret that is there a new value")
    add_secret_option(parser, SecretKind.VERIFICATION)
    parser.set_defaults(run=run_verification)


def _add_signing(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = kinds.add_parser(
        "signing",
        help="a private key that was made elsewhere, such as by the platform's tool class",
        description="Store a private key in a new secret; one that is there is changed by keys rotate.",
    )
    parser.add_argument(
        "--private", type=Path, metavar="FILE", required=True, help="file with the private key; - for stdin"
    )
    parser.add_argument(
        "--replace", action="store_true", help="give a secret that holds no good key a new value"
    )
    add_secret_option(parser, SecretKind.SIGNING)
    parser.set_defaults(run=run_signing)


def run_verification(arguments: argparse.Namespace) -> int:
    """Store appKey and platform key."""
    only_one_reads_standard_input(arguments.app_key, arguments.platform_public)
    store = Store.reach(arguments)
    if not arguments.replace:
        say(f"The secret {arguments.secret} in {store.region} will hold what the open platform shows.")
    app_key = read_file(arguments.app_key) if arguments.app_key else ask_secretly("appKey")
    platform_key = (
        read_file(arguments.platform_public)
        if arguments.platform_public
        else ask_for_key("the platform's public key (平台公钥)")
    )
    text = json.dumps({APP_KEY: app_key.strip(), PLATFORM_KEY: platform_key.strip()})
    if show_findings(arguments, "What you gave", examine_verification(text, "what you gave").findings):
        say("Nothing was stored.")
        return FOUND
    if arguments.replace:
        refuse_foreign(store.read(arguments.secret), arguments.secret, SecretKind.VERIFICATION)
        store.put(arguments.secret, text)
        there = store.describe(arguments.secret)
        arn, kms_key = there.arn, there.kms_key
    else:
        arn, kms_key = _create(store, arguments, text), arguments.kms_key
    print()
    show_parameter(arguments, "VerificationSecretArn", arn, kms_key)
    show_next(
        arguments,
        "Deploy with the parameter above, if it is new; running functions read a new value within "
        "SECRET_MAX_AGE_SECONDS, 300 by default.",
        "See whether all is well: `python -m tools keys check`.",
    )
    return 0


def _create(store: Store, arguments: argparse.Namespace, text: str) -> str:
    try:
        return store.create(arguments.secret, text, _DESCRIPTION, arguments.kms_key)
    except AlreadyThereError as error:
        raise ToolError(
            str(error),
            "If the open platform shows another appKey or platform key now: `python -m tools keys put "
            "verification --replace`. For another app, use another name with --secret.",
        ) from None


def run_signing(arguments: argparse.Namespace) -> int:
    """Store a private key."""
    examined = examine_private(read_file(arguments.private), name_of(arguments.private))
    if examined.key is None or any(finding.severity is Severity.FAULT for finding in examined.findings):
        show_findings(arguments, "What you gave", examined.findings)
        say("Nothing was stored.")
        return FOUND
    store = Store.reach(arguments)
    if arguments.replace:
        arn = _replace_signing(store, arguments.secret, signing_text(examined.key))
    else:
        arn = create_signing(store, arguments.secret, examined.key, arguments.kms_key)
    show_findings(arguments, "What you gave", examined.findings)
    print()
    show_public_half(examined.key.public_key())
    show_parameter(arguments, "SigningSecretArn", arn, arguments.kms_key)
    show_next_of_pair(arguments)
    return 0


def _replace_signing(store: Store, name: str, text: str) -> str:
    """Give a secret without a good key one; gives its ARN."""
    present = store.read(name)
    refuse_foreign(present, name, SecretKind.SIGNING)
    if examine_signing(present, name).key is not None:
        raise ToolError(
            f"secret {name} holds a good key, which stays as it is",
            "To change the key: `python -m tools keys rotate`.",
        )
    store.put(name, text)
    return store.describe(name).arn
