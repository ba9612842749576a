"""`keys new`: makes the customer's key pair, private half straight to Secrets Manager (guide section 2.1)."""

import argparse
import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tools.aws import add_aws_options
from tools.commands import SecretKind
from tools.errors import WRONG_USE, ToolError
from tools.keys.contents import PRIVATE_KEY
from tools.keys.pairs import BITS, SAFE_BITS, bare_private, new_private_key
from tools.keys.people import name_of, say, secret_name
from tools.keys.report import show_next, show_parameter, show_public_half
from tools.keys.store import AlreadyThereError, Store
from tools.text import HelpFormatter, wrapped

SIGNING_SECRET: Final = SecretKind.SIGNING.value
DESCRIPTION: Final = "Signs for China Mobile's H5 number verification: the customer's private key."

_EXAMPLES: Final = """
examples:
  python -m tools keys new
  python -m tools keys new --secret shop/signing --kms-key alias/shop --region cn-north-1
  python -m tools keys new --out key.pem        a file and nothing in AWS; keys put signing stores it later
"""
_WHY_NOT_1024: Final = (
    "1024 bits is what the platform's own tool class makes, and nothing says that it refuses 2048. A key of "
    "1024 bits is within reach of whoever has much money: use this one only if the platform has refused "
    "2048 bits."
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "new",
        help="make the key pair",
        description="Make the customer's key pair. The private half goes straight to Secrets Manager, as "
        'JSON {"privateKey": Base64 of PKCS#8}, and is neither shown nor written to disk; the public half is '
        "printed as the open platform wants it. A secret that has a value is never overwritten.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=BITS,
        default=SAFE_BITS,
        help=f"size of the key (default: {SAFE_BITS}; 1024 only if the platform refuses that)",
    )
    parser.add_argument(
        "--secret",
        type=secret_name,
        metavar="NAME",
        help=f"secret to make (default: {SIGNING_SECRET}; none with --out)",
    )
    parser.add_argument(
        "--kms-key", metavar="ID", help="KMS key that encrypts the secret (default: the account's own)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the private half to a new file too, PEM, mode 0600"
    )
    add_aws_options(parser)
    parser.set_defaults(run=run, kind=SecretKind.SIGNING)


def run(arguments: argparse.Namespace) -> int:
    """Make the pair."""
    name = arguments.secret or (None if arguments.out else SIGNING_SECRET)
    if name is None and arguments.kms_key:
        raise ToolError("--kms-key is for a secret, and none is made", "Name one: --secret NAME.", WRONG_USE)
    warn_of_small(arguments.bits)
    store = None if name is None else Store.reach(arguments)
    say(f"making an RSA key of {arguments.bits} bits …")
    key = new_private_key(arguments.bits)
    arn = None
    with _new_file(arguments.out) as file:
        if store is not None and name is not None:
            say(f"writing it to the secret {name} in {store.region} …")
            arn = create_signing(store, name, key, arguments.kms_key)
        if file is not None:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    print()
    show_public_half(key.public_key())
    if arn is not None:
        show_parameter(arguments, "SigningSecretArn", arn, arguments.kms_key)
        show_next_of_pair(arguments)
    else:
        out = shlex.quote(str(arguments.out))
        show_next(
            arguments,
            "Paste the public half into the app's configuration on the open platform.",
            f"Store the private half: `python -m tools keys put signing --private {out}`.",
            f"Then take the file away: `shred -u {out}`.",
        )
    return 0


def warn_of_small(bits: int) -> None:
    """Say why a small key is for a platform that takes no other."""
    if bits < SAFE_BITS:
        say(wrapped(_WHY_NOT_1024, "warning: ", ""))


def create_signing(store: Store, name: str, key: RSAPrivateKey, kms_key: str | None) -> str:
    """Make a signing secret; gives its ARN.

    Raises
    ------
    ToolError
        There is one with a value.
    """
    try:
        return store.create(name, signing_text(key), DESCRIPTION, kms_key)
    except AlreadyThereError as error:
        raise ToolError(
            str(error),
            "To change the key: `python -m tools keys rotate`. To see what is there: "
            "`python -m tools keys check`. For another app: another name with --secret.",
        ) from None


def signing_text(key: RSAPrivateKey) -> str:
    """Write the text of a signing secret."""
    return json.dumps({PRIVATE_KEY: bare_private(key)})


def show_next_of_pair(arguments: argparse.Namespace) -> None:
    """Say what follows once the private half is stored."""
    show_next(
        arguments,
        "Paste the public half, the whole line, into the app's configuration on the open platform; the "
        "platform then shows its own public key (平台公钥).",
        "Store that key and the appKey: `python -m tools keys put verification`.",
        "Deploy with the parameter above: `sam build && sam deploy --guided`.",
        "See whether all is well: `python -m tools keys check`, then `python -m tools doctor --help`.",
    )


@contextlib.contextmanager
def _new_file(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open a file that was not there, readable by its owner alone; it goes again if the work fails."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ToolError(
            f"{name_of(path)} is there, and is not overwritten",
            "Name a file that is not there yet.",
            WRONG_USE,
        ) from None
    except OSError as error:
        raise ToolError(
            f"{name_of(path)} cannot be written: {error.strerror}", "Name another file.", WRONG_USE
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
