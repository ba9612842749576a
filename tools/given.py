"""What a command line names: files, secrets, and what completes the commands that are shown.

A line that is copied acts on the same secret, in the same place.
"""

import re
import shlex
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from tools.findings import ToolError, UseError
from tools.messages import Text, text

_STANDARD_INPUT: Final = Path("-")
_SECRET_NAME: Final = re.compile(r"(?!.*BEGIN )[A-Za-z0-9/_+=.@:!-]{1,300}")
"""A public key of 2048 bits has 392 characters in Base64, and names are short."""


class SecretKind(Enum):
    """The secrets that the tools write, by the names that they have unless told otherwise."""

    SIGNING = "number-verification/signing"
    VERIFICATION = "number-verification/verification"
    RECEIPTS = "number-verification/receipts"


def read_file(path: Path) -> str:
    """Read a text file, which may be in the UTF-16 of Windows PowerShell, or standard input for `-`."""
    try:
        data = sys.stdin.buffer.read() if path == _STANDARD_INPUT else path.read_bytes()
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except OSError as error:
        raise UseError("file-unreadable", file=name_of(path), reason=error.strerror) from None
    except UnicodeDecodeError:
        raise ToolError("file-binary", file=name_of(path), path=path) from None


def name_of(path: Path) -> str | Text:
    """Return what a file is called in sentences; a key that was given in a file's place is not repeated."""
    if path == _STANDARD_INPUT:
        return text("standard-input")
    return str(path) if is_name(str(path)) else text("given-as-file")


def is_name(word: str) -> bool:
    """Tell whether what was given as a name can be one, and is not a key."""
    return len(word) < 300 and "BEGIN " not in word  # noqa: PLR2004 - see above


def secret_name(word: str) -> str:
    """Read a secret's name or ARN from the command line; anything else is not repeated."""
    if not _SECRET_NAME.fullmatch(word):
        raise UseError("not-a-secret-name")
    return word


def given(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what completes a shown command, each after a blank; empty where nothing was named.

    `aws` has --profile and --region, `at` the deployment, `stack_at` the stack that a secret's name
    suggests; see `of_secrets` for the others.
    """
    kind, secret = options.get("kind"), options.get("secret") or ""
    secrets = {kind: secret or None}
    base, _, last = secret.rpartition("/")
    of_stack = base if kind and last == kind.name.lower() and secret != kind.value else ""
    if of_stack:  # one place for an app's secrets, named like its stack
        secrets = {each: f"{base}/{each.name.lower()}" for each in SecretKind}
    if options.get("verification_secret"):
        secrets[SecretKind.VERIFICATION] = options["verification_secret"]
    return {
        "stack_at": _written(stack=of_stack or SecretKind.SIGNING.value.partition("/")[0]),
        "aws": _written(profile=options.get("profile"), region=options.get("region")),
        "at": _written(stack=options.get("stack"), state=options.get("state")),
        **of_secrets(secrets),
    }


def of_secrets(secrets: Mapping[Any, str | None]) -> dict[str, str]:
    """Return the options that name secrets, by their kinds, and `check`, which has both of `keys check`."""
    named = {kind: secrets[kind] for kind in SecretKind if secrets.get(kind) not in {None, kind.value}}
    both = {"secret": SecretKind.SIGNING, "verification_secret": SecretKind.VERIFICATION}
    check = _written(**{option: secrets.get(kind) for option, kind in both.items()}) if named else ""
    return {**{kind.name.lower(): _written(secret=named.get(kind)) for kind in SecretKind}, "check": check}


def _written(**options: Any) -> str:
    named = ((name.replace("_", "-"), value) for name, value in options.items() if value)
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in named)
