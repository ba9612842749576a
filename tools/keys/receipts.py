"""`keys receipts`: the secret of signed receipts, whose keys take over one from another without a gap.

A key is published as soon as it is in the secret and signs from its signFrom on, so a new one is given a
lead, in which every function has read the secret anew and after it every back end the published keys. The
secret is read by the product's own reader, `cmpassport.receipt_keys`.
"""

import argparse
import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cmpassport.errors import CmpassportError
from cmpassport.receipt_keys import MAX_KEYS, PUBLISHED_MAX_AGE, ReceiptKeys, SigningKey
from cmpassport.settings import MAX_SECRET_AGE
from tools.aws import add_aws_options
from tools.commands import SecretKind
from tools.errors import FOUND, WRONG_USE, ToolError
from tools.findings import Finding, Severity, fault, fine, warning
from tools.keys.contents import refuse_foreign
from tools.keys.forms import Owner, examine_public
from tools.keys.people import add_secret_option, name_of, read_file, say
from tools.keys.report import show_findings, show_next, show_parameter
from tools.keys.store import CURRENT, AlreadyThereError, Store
from tools.text import HelpFormatter, wrapped

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock may be from the functions': AWS takes nothing from one that is further off."""
LEAD: Final = timedelta(seconds=MAX_SECRET_AGE + PUBLISHED_MAX_AGE) + SKEW
"""Between a key's write and its first signature: an hour."""
KEPT: Final = timedelta(days=1)
"""How long a key is still published after another took over; receipts live ten minutes at most."""

_DESCRIPTION: Final = "Signs the receipts of H5 number verification; not the platform's key."
_HASH_KEY_BYTES: Final = 32

_EXAMPLES: Final = """
examples:
  python -m tools keys receipts new
  python -m tools keys receipts new --encryption-key business.pem     receipts with the number, encrypted
  python -m tools keys receipts rotate                                a new key, which signs in an hour
  python -m tools keys receipts rotate --now                          a key is compromised
  python -m tools keys receipts encryption-key business.pem           set or replace that key alone
  python -m tools keys receipts check
"""

_NOW_COSTS: Final = (
    "All former keys are dropped at once. Functions sign with the new one within SECRET_MAX_AGE_SECONDS (300 "
    f"by default), and back ends keep the published keys for up to {PUBLISHED_MAX_AGE} s more, or up to "
    "an hour where they cannot fetch them: until then good receipts may be refused, and receipts made with "
    "the old key may still be accepted. Where that must not be, restart the back ends, or deploy with "
    "Receipts=off."
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key as the secret holds it, and as the product reads it."""

    member: dict[str, Any] = field(repr=False)
    key: SigningKey


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "receipts",
        help="make, change and check the secret of signed receipts",
        description="The keys that sign receipts, in a secret of their own.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_new(subcommands)
    _add_rotate(subcommands)
    _add_encryption(subcommands)
    check = subcommands.add_parser("check", help="show the keys, and what is wrong with them")
    check.set_defaults(run=run_check)
    for command in subcommands.choices.values():
        add_secret_option(command, SecretKind.RECEIPTS)
        add_aws_options(command)


def _add_new(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "new",
        help="make the secret",
        description="Make the secret: a signing key, and a random hashKey, which is not shown.",
    )
    parser.add_argument(
        "--encryption-key",
        type=Path,
        metavar="FILE",
        help="the business's RSA public key; - for standard input",
    )
    parser.add_argument(
        "--kms-key", metavar="ID", help="KMS key that encrypts the secret (default: the account's own)"
    )
    parser.set_defaults(run=run_new)


def _add_rotate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "rotate",
        help="add a signing key that takes over in an hour, and drop those that are no longer needed",
        description="Add a signing key that takes over in an hour. Keys that another took over from "
        "more than a day ago are dropped; hashKey and encryptionKey stay.",
    )
    parser.add_argument(
        "--now",
        action="store_true",
        help="a key is compromised: sign with a new one at once, drop all others",
    )
    parser.set_defaults(run=run_rotate)


def _add_encryption(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "encryption-key",
        help="set or replace the business's RSA public key",
        description="Set or replace the RSA public key, 2048 bits or more, that encrypts numbers.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the public key; - for standard input")
    parser.set_defaults(run=run_encryption)


def run_new(arguments: argparse.Namespace) -> int:
    """Make the secret."""
    # The first key has nobody to take over from: it signs at once, whatever this machine's clock says.
    content: dict[str, Any] = {
        "keys": [_new_key(arguments.clock.now() - SKEW)],
        "hashKey": secrets.token_urlsafe(_HASH_KEY_BYTES),
    }
    if arguments.encryption_key is not None:
        content["encryptionKey"] = _read_encryption_key(arguments, arguments.encryption_key)
    store = Store.reach(arguments)
    name = arguments.secret
    try:
        arn = store.create(name, _written(content, name), _DESCRIPTION, arguments.kms_key)
    except AlreadyThereError as error:
        raise ToolError(
            str(error),
            "A new key: `python -m tools keys receipts rotate`. Another app: another name with --secret.",
        ) from None
    print(f"The receipt secret is made: its key signs from now on, {_parsed(content).signing[0].kid}")
    print()
    show_parameter(arguments, "ReceiptSecretArn", arn, arguments.kms_key)
    show_next(
        arguments,
        "Deploy with the parameter above and Receipts=on; back ends find the keys at the output "
        "ReceiptKeysUrl.",
        "Back ends that compare hashed numbers need hashKey. Bring it to their secrets: "
        f"{_hash_key_command(arguments)}",
        "Change the key once in a while: `python -m tools keys receipts rotate`.",
    )
    return 0


def run_rotate(arguments: argparse.Namespace) -> int:
    """Add a key, and drop what is no longer needed."""
    store, name, now = Store.reach(arguments), arguments.secret, arguments.clock.now()
    content, entries, former = _read_at_all(store, name) if arguments.now else _read(store, name)
    if arguments.now:
        kept, begin = [], now - SKEW
    else:
        kept, begin = _still_needed(entries, now), now + LEAD
        _refuse_too_soon(name, entries, kept, now)
    content["keys"] = [*(entry.member for entry in kept), _new_key(begin)]
    store.replace(name, _written(content, name), former=former)
    made = _parsed(content).signing[-1]
    if arguments.now:
        print(f"The new key signs at once: {made.kid}")
        say(wrapped(_NOW_COSTS))
    else:
        print(f"The new key is published from now on and signs from {_shown(made.sign_from)}: {made.kid}")
    print(f"Dropped: {len(entries) - len(kept)}; kept: {len(kept)}.")
    return 0


def run_encryption(arguments: argparse.Namespace) -> int:
    """Set or replace encryptionKey."""
    key = _read_encryption_key(arguments, arguments.file)
    store, name = Store.reach(arguments), arguments.secret
    content, _, former = _read(store, name)
    store.replace(name, _written({**content, "encryptionKey": key}, name), former=former)
    print("The encryption key is stored: receipts use it within SECRET_MAX_AGE_SECONDS (300 by default).")
    say("The business keeps the former private key until the last receipt made for it has expired.")
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Show the keys, and what is wrong."""
    store, name, now = Store.reach(arguments), arguments.secret, arguments.clock.now()
    text = store.read(name)
    try:
        keys = ReceiptKeys.parse(text)
    except CmpassportError as error:
        findings: Sequence[Finding] = (fault("receipt-secret", f"{name}: {error}.", _repair(name)),)
    else:
        findings = _judge(keys, now)
    return FOUND if show_findings(arguments, "Receipt secret", findings) else 0


def _repair(name: str) -> str:
    return (
        "If only keys is damaged, `python -m tools keys receipts rotate --now` makes it anew, and the rest "
        f"stays. Else look at the former value, `{_value_of(name)} --version-stage AWSPREVIOUS`, and put it "
        f"back: `aws secretsmanager put-secret-value --secret-id {name} --secret-string file://FILE`."
    )


def _value_of(name: str) -> str:
    return f"aws secretsmanager get-secret-value --secret-id {name} --query SecretString --output text"


def _judge(keys: ReceiptKeys, now: datetime) -> tuple[Finding, ...]:
    begun = [key for key in keys.signing if key.sign_from <= now]
    findings = []
    for key in keys.signing:
        role = (
            "next" if key.sign_from > now else "signs now" if key is begun[-1] else "former, published still"
        )
        findings.append(fine("receipt-key", f"Key {key.kid}: {role}, from {_shown(key.sign_from)}."))
    if not begun:
        findings.append(
            fault(
                "no-key-signs",
                f"No key signs yet: the first one does from {_shown(keys.signing[0].sign_from)}.",
                "Wait until then, or make one that signs at once: `python -m tools keys receipts rotate "
                "--now`.",
            )
        )
    findings.append(
        warning(
            "hash-key-missing",
            "There is no hashKey, which ReceiptNumber=hash needs.",
            "Put one of 32 or more random characters into the secret, or set ReceiptNumber to masked.",
        )
        if keys.hash_key is None
        else fine("hash-key", "hashKey is there.")
    )
    if keys.encryption_key is None:
        findings.append(
            Finding(
                "encryption-key", Severity.UNKNOWN, "encryptionKey: none; ReceiptNumber=encrypted needs one."
            )
        )
    else:
        findings.append(
            fine("encryption-key", f"encryptionKey is there: {keys.encryption_key.thumbprint()}.")
        )
    return tuple(findings)


def _refuse_too_soon(name: str, entries: Sequence[_Entry], kept: Sequence[_Entry], now: datetime) -> None:
    last = entries[-1].key.sign_from
    compromised = "If a key is compromised: `python -m tools keys receipts rotate --now`."
    if last > now:
        raise ToolError(
            f"secret {name}: a next key waits already, and signs from {_shown(last)}",
            f"Rotate after that time. {compromised}",
        )
    if len(kept) >= MAX_KEYS:
        raise ToolError(
            f"secret {name} has {len(kept)} keys, all of which are needed until "
            f"{_shown(kept[1].key.sign_from + KEPT)}",
            f"Rotate after that time. {compromised}",
        )


def _still_needed(entries: Sequence[_Entry], now: datetime) -> list[_Entry]:
    """Give the keys but those that the one after them took over from long ago."""
    successors = [*(entry.key.sign_from for entry in entries[1:]), None]
    return [
        entry
        for entry, taken_over in zip(entries, successors, strict=True)
        if taken_over is None or taken_over > now - KEPT
    ]


def _read_at_all(store: Store, name: str) -> tuple[dict[str, Any], list[_Entry], str]:
    """Read the secret where its keys are to be made anew, so that they need not be good."""
    former = store.describe(name).versions.get(CURRENT, "")
    text = store.read(name)
    refuse_foreign(text, name, SecretKind.RECEIPTS)
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ToolError(f"secret {name} is no JSON object", _repair(name))
    try:
        return content, _entries(content), former
    except CmpassportError:
        return content, [], former


def _read(store: Store, name: str) -> tuple[dict[str, Any], list[_Entry], str]:
    """Read the secret, its keys in the order in which they sign, and which version it is."""
    former = store.describe(name).versions.get(CURRENT, "")
    text = store.read(name)
    refuse_foreign(text, name, SecretKind.RECEIPTS)
    try:
        ReceiptKeys.parse(text)
    except CmpassportError as error:
        raise ToolError(f"secret {name}: {error}", _repair(name)) from None
    content = json.loads(text)
    return content, _entries(content), former


def _entries(content: dict[str, Any]) -> list[_Entry]:
    _parsed(content)  # that keys are a list of objects
    entries = [_Entry(member, _parsed({"keys": [member]}).signing[0]) for member in content["keys"]]
    return sorted(entries, key=lambda entry: entry.key.sign_from)


def _parsed(content: dict[str, Any]) -> ReceiptKeys:
    return ReceiptKeys.parse(json.dumps(content))


def _written(content: dict[str, Any], name: str) -> str:
    """Write the secret's text, which the product has to be able to read."""
    try:
        _parsed(content)
    except CmpassportError as error:
        raise ToolError(f"secret {name}: {error}", _repair(name)) from None
    return json.dumps(content)


def _new_key(sign_from: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {"privateKey": base64.b64encode(der).decode(), "signFrom": _shown(sign_from)}


def _read_encryption_key(arguments: argparse.Namespace, path: Path) -> str:
    text = read_file(path).strip()
    examined = examine_public(text, name_of(path), Owner.BUSINESS)
    if examined.key is None:
        show_findings(arguments, "What you gave", examined.findings)
        raise ToolError(
            "the encryption key is none; nothing was stored", "See what is said of it above.", WRONG_USE
        )
    if any(finding.severity is Severity.WARNING for finding in examined.findings):
        raise ToolError(
            f"the encryption key has {examined.key.key_size} bits; 2048 or more are wanted",
            Owner.BUSINESS.value,
            WRONG_USE,
        )
    return text


def _hash_key_command(arguments: argparse.Namespace) -> str:
    pick = """python3 -c 'import json, sys; print(json.load(sys.stdin)["hashKey"])'"""
    return f"`{_value_of(arguments.secret)} | {pick}`"


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
