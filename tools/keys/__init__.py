"""`keys`: the customer's key pair, the secrets that hold keys, and their rotation (guide section 2.1)."""

from typing import TYPE_CHECKING, Final

from tools.keys import check, new, put, receipts, rotate
from tools.text import HelpFormatter

if TYPE_CHECKING:
    import argparse

_EXAMPLES: Final = """
first time:    keys new, then keys put verification, then keys check
later:         keys rotate
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "keys",
        help="make, store, check and change keys",
        description="The key pair that signs, and the secrets in which keys lie.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (new, put, check, rotate, receipts):
        command.add_parser(subcommands)
