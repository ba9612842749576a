"""The commands and their options: one table, from which argparse's parsers are made."""

import argparse
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from tools.findings import UseError
from tools.given import SecretKind, secret_name
from tools.messages import Language, text
from tools.output import Output

SAFE_BITS: Final = 2048

_SIGNING, _VERIFICATION, _RECEIPTS = SecretKind
_COMMANDS: Final[dict[str, tuple[str, SecretKind | None, str]]] = {
    "keys new": ("tools.keys.pair:new", _SIGNING, "--bits --secret --kms-key"),
    "keys put verification": (
        "tools.keys.pair:put_verification",
        _VERIFICATION,
        "--app-key --platform-public --replace --secret --kms-key",
    ),
    "keys put signing": ("tools.keys.pair:put_signing", _SIGNING, "--private --replace --secret --kms-key"),
    "keys check": (
        "tools.keys.pair:check",
        _SIGNING,
        "--secret|--private --verification-secret|--platform-public --public",
    ),
    "keys rotate": ("tools.keys.rotate:run", _SIGNING, "--step --secret --to --bits --stack|--state"),
    "keys receipts new": ("tools.keys.receipts:new", _RECEIPTS, "--encryption-key --kms-key --secret"),
    "keys receipts rotate": ("tools.keys.receipts:rotate", _RECEIPTS, "--now --secret"),
    "keys receipts encryption-key": ("tools.keys.receipts:encryption_key", _RECEIPTS, "file --secret"),
    "keys receipts check": ("tools.keys.receipts:check", _RECEIPTS, "--secret"),
    "doctor": ("tools.doctor:run", None, "--stack|--state --page --address-service --probe"),
    "explain": ("tools.explain:run", None, "code|--list --stack|--state"),
    "plan": ("tools.plan:run", None, "parameters --config-env"),
}
"""Module and function, the secret that --secret names, and the options; | stands between those that exclude
each other."""
_GROUPS: Final = ("keys", "keys put", "keys receipts")
_FILES: Final = ("--app-key", "--encryption-key", "--platform-public", "--private", "--public", "--state")
_NAMES: Final = ("--config-env", "--kms-key", "--profile", "--region", "--stack")
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    **{name: {"action": "store_true"} for name in ("--now", "--probe", "--list", "--replace")},
    **{name: {"type": Path, "metavar": "FILE"} for name in (*_FILES, "file")},
    **{name: {"type": secret_name, "metavar": "NAME"} for name in ("--secret", "--verification-secret")},
    **{name: {"metavar": "NAME"} for name in _NAMES},
    "--address-service": {"metavar": "URL"},
    "--bits": {"type": int, "choices": (1024, 2048, 3072, 4096), "default": SAFE_BITS},
    "--lang": {"choices": tuple(Language)},
    "--page": {"action": "append", "default": [], "metavar": "URL"},
    "--step": {"choices": ("prepare", "switch", "verify", "rollback")},
    "--to": {"metavar": "SHA256"},
    "code": {"nargs": "?", "metavar": "CODE"},
    "parameters": {"nargs": "*", "metavar": "KEY=VALUE"},
}
_WORD: Final = re.compile(r"--?[a-z][a-z-]{0,30}")
_VALUE: Final = re.compile(r"""(['"])(?:(?!\1).){20,}\1|(?<==).+(?= could match)""", re.DOTALL)
"""What argparse quotes of a command line, where it is long; its own choices are short."""


class Parser(argparse.ArgumentParser):
    """Repeats nothing of the command line that may be a key which was given in the wrong place."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line."""
        _, unknown, rest = message.partition("unrecognized arguments:")
        named = [word for word in re.split(r"[\s=]", rest) if _WORD.fullmatch(word)]
        told = f"unrecognized: {' '.join(named or ['an argument too many'])}" if unknown else ""
        raise UseError("bad-command-line", told=told or _VALUE.sub("…", message), command=self.prog)


def parser(output: Output) -> Parser:
    """Make the parser of all commands."""
    whole = Parser(
        prog="python -m tools",
        description=output.words(text("help")),
        epilog=output.words(text("help-end")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_option("--lang", whole, output)
    title = output.words(text("commands"))
    groups = {"": _subcommands(whole, title)}
    for words in (*_GROUPS, *_COMMANDS):
        above, _, name = words.rpartition(" ")
        about, rest = output.halves(text(f"help-{words.replace(' ', '-')}"))
        made = groups[above].add_parser(name, help=about, description=rest or about)
        _add_option("--lang", made, output)
        if words in _GROUPS:
            groups[words] = _subcommands(made, title)
            continue
        run, kind, options = _COMMANDS[words]
        for each in (*options.split(), *(("--profile", "--region") if words != "plan" else ())):
            exclusive = made.add_mutually_exclusive_group() if "|" in each else made
            for option in each.split("|"):
                _add_option(option, exclusive, output)
        made.set_defaults(run=run, kind=kind, replace=False)
    return whole


def _add_option(option: str, to: "argparse._ActionsContainer", output: Output) -> None:
    to.add_argument(option, help=output.words(text(f"option-{option.lstrip('-')}")), **_OPTIONS[option])


def _subcommands(above: Parser, title: str) -> "argparse._SubParsersAction[Parser]":
    return above.add_subparsers(title=title, required=True, metavar="COMMAND", parser_class=Parser)
