"""What a command line names, for the commands that are shown: a copied line acts on the same secret."""

import shlex
import tomllib
from collections.abc import Mapping
from enum import Enum
from typing import Any

from tools import ROOT


class SecretKind(Enum):
    """The secrets that the tools write, by the names that they have unless told otherwise."""

    SIGNING = "number-verification/signing"
    VERIFICATION = "number-verification/verification"
    RECEIPTS = "number-verification/receipts"


def given(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what completes a shown command, each after a blank; empty where nothing was named.

    `aws` has --profile and --region, `at` the deployment, `deploy`, `env` and `stack_at` the stack that
    a secret's name suggests; see `of_secrets` for the others.
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
        "env": _environment(of_stack),
        "deploy": _environment(of_stack) or _written(stack_name=of_stack),
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


def _environment(stack: str) -> str:
    """Return the option that names a stack's environment of samconfig.toml; empty for the default or none."""
    document = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    stacks = {
        each["global"]["parameters"].get("stack_name"): name
        for name, each in document.items()
        if isinstance(each, dict) and "global" in each and name != "default"
    }
    return _written(config_env=stacks.get(stack))


def _written(**options: Any) -> str:
    named = ((name.replace("_", "-"), value) for name, value in options.items() if value)
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in named)
