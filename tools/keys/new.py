"""`keys new`: makes the customer's key pair, private half straight to Secrets Manager (guide section 2.1)."""

import argparse
import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tools.commands import SAFE_BITS
from tools.findings import UseError
from tools.given import SecretKind
from tools.keys.store import Store
from tools.output import Output
from tools.pairs import bare_private, bare_public, fingerprint, new_private_key
from tools.prompts import name_of
from tools.secret_text import PRIVATE_KEY

DESCRIPTION: Final = "Signs for China Mobile's H5 number verification: the customer's private key."


def run(options: argparse.Namespace, output: Output) -> int:
    """Make the pair."""
    name = options.secret or (None if options.out else SecretKind.SIGNING.value)
    if name is None and options.kms_key:
        raise UseError("kms-key-without-secret")
    store = None if name is None else Store.reach(options)
    if store is not None and name is not None:
        store.refuse_taken(name, "signing-taken")
    warn_of_small(options.bits, output)
    output.tell("making-pair", bits=options.bits)
    key = new_private_key(options.bits)
    with _new_file(options.out) as file:
        arn = None
        if store is not None and name is not None:
            output.tell("writing-secret", secret=name, region=store.region)
            arn = store.create(name, signing_text(key), DESCRIPTION, options.kms_key, "signing-taken")
        if file is not None:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    print()
    show_public_half(key.public_key(), output)
    if arn is not None:
        show_parameter("SigningSecretArn", arn, options.kms_key, output)
        output.steps("next-paste", "next-verification", "next-deploy", "next-check")
    else:
        output.steps("next-paste-out", "next-store", "next-shred", out=shlex.quote(str(options.out)))
    return 0


def warn_of_small(bits: int, output: Output) -> None:
    """Say why a small key is for a platform that takes no other."""
    if bits < SAFE_BITS:
        output.tell("why-not-1024")


def signing_text(key: RSAPrivateKey) -> str:
    """Write the text of a signing secret."""
    return json.dumps({PRIVATE_KEY: bare_private(key)})


def show_public_half(key: RSAPublicKey, output: Output) -> None:
    """Print a public half as the open platform wants it, on a line of its own that can be copied whole."""
    output.show("public-half")
    print(f"\n{bare_public(key)}\n\nSHA-256           {fingerprint(key)}")


def show_parameter(name: str, arn: str, kms_key: str | None, output: Output) -> None:
    """Print what the deployment's parameters are set to."""
    print(f"{name:<17} {arn}")
    if kms_key and kms_key.startswith("arn:"):
        print(f"KmsKeyArn         {kms_key}")
    elif kms_key:
        output.show("kms-parameter", key=shlex.quote(kms_key))


@contextlib.contextmanager
def _new_file(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open a file that was not there, readable by its owner alone; it goes again if the work fails."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UseError("file-unwritable", file=name_of(path), reason=error.strerror) from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
