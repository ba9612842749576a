"""`doctor`: finds what keeps a deployment, or a laptop, from working with the platform, each with its remedy.

Facts are looked at step by step through one `World`, frozen into `Facts`, and judged by checks that are
functions of these alone. Nothing is written anywhere, no third party is asked unless it is named, and nothing
is sent to the platform's verification unless --probe asks for it.
"""

import argparse
from pathlib import Path
from typing import Final

from tools.aws import add_aws_options

_DESCRIPTION: Final = """
Look a deployment or the local stack over: settings, line, origins and pages, clock, platform, secrets, keys,
table, outgoing address. Each finding says what was looked at and what to do. Without --stack or --env it is
the local stack that is running.
"""

_EXAMPLES: Final = """
examples:
  python -m tools doctor                                        the running local stack
  python -m tools doctor --stack number-verification --page https://www.abc.com/login.html
  python -m tools doctor --stack number-verification --public-key customer.txt --probe
  python -m tools doctor --env desk.env --address-service https://checkip.amazonaws.com

exit codes: 0 nothing keeps it from working (warnings, !, may stand), 1 something does (✗), 2 wrong use
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="find what keeps a deployment from working",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_places(parser)
    _add_questions(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document for machines")
    add_aws_options(parser)
    parser.set_defaults(run=_run)


def _add_places(parser: argparse.ArgumentParser) -> None:
    place = parser.add_argument_group("what to look over").add_mutually_exclusive_group()
    place.add_argument("--stack", metavar="NAME", help="a deployed stack, by CloudFormation and Lambda")
    place.add_argument(
        "--env", type=Path, metavar="FILE", help="KEY=VALUE lines, the variables as the functions get them"
    )
    place.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="where the running local stack is written down (default: .local/stack.json)",
    )


def _add_questions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--page",
        action="append",
        default=[],
        metavar="URL",
        help="a page that integrates the SDK; give it once for each: it is fetched",
    )
    parser.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="the customer's public key (客户公钥) as it stands in the open platform",
    )
    parser.add_argument(
        "--address-service",
        metavar="URL",
        help="who is asked for this machine's outgoing address; nobody by default",
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="send one signed request with a made-up token: not billed, no attempt spent",
    )


def _run(arguments: argparse.Namespace) -> int:
    from tools.doctor.command import run  # noqa: PLC0415 - boto3 and RSA, which --help does without

    return run(arguments)
