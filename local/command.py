"""The command line: `python -m local up` and `python -m local invoke LOGICAL_ID EVENT.json`."""

import argparse
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from local import ROOT, state
from local.environment import FunctionError
from local.invoke import invoke, read_json, read_overlay
from local.keys import ReceiptNumber
from local.stack import SIM_NUMBER, VERIFY_FUNCTION, Options, Stack, StackError

_ENV = ROOT / "events" / "env.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _up(options) if options.command == "up" else _invoke(options)
    except StackError as error:
        print(f"local: {error}", file=sys.stderr)
        return error.exit_status
    except FunctionError as error:
        print(f"local: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--state",
        type=Path,
        default=state.DEFAULT_FILE,
        metavar="FILE",
        help="where the running stack is written down (default: .local/stack.json)",
    )
    parser = argparse.ArgumentParser(
        prog="python -m local", description="The whole product on this machine, without AWS."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{up,invoke}")
    up = commands.add_parser("up", parents=[where], help="start everything, until Ctrl-C")
    for name, port, what in (
        ("api", 3000, "the API"),
        ("web", 8080, "the page"),
        ("platform", 8090, "the platform simulator"),
        ("aws", 4566, "Secrets Manager and DynamoDB"),
    ):
        up.add_argument(
            f"--{name}-port",
            type=_port,
            default=port,
            metavar="PORT",
            help=f"port of {what} (default: {port}; 0: a free one)",
        )
    up.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    up.add_argument(
        "--platform-url",
        metavar="URL",
        help="verify on another platform: its base address or verifyVmMobileApi.htm's; see --secrets",
    )
    up.add_argument(
        "--page",
        action="append",
        default=[],
        metavar="URL",
        help="address of a page of your own that may use this stack, such as http://localhost:5173/login; "
        "may be given several times",
    )
    up.add_argument("--app-id", default="000001", metavar="ID", help="appId (default: 000001)")
    up.add_argument(
        "--secrets",
        type=Path,
        metavar="FILE",
        help='real keys: JSON {"privateKey", "platformPublicKey", "appKey"} (default: fresh ones)',
    )
    up.add_argument(
        "--receipts",
        choices=[number.value for number in ReceiptNumber],
        help="sign receipts, with the number in this form, and have a business back end that logs in by them "
        "alone (default: no receipts)",
    )
    run = commands.add_parser("invoke", parents=[where], help="run one handler on one event")
    run.add_argument("function", metavar="LOGICAL_ID", help="such as PreSignFunction or VerifyFunction")
    run.add_argument("event", type=Path, metavar="EVENT.json", help="the event, such as one of events/")
    run.add_argument(
        "--env",
        type=Path,
        metavar="FILE",
        help="variables by function, as SAM's --env-vars has them (default: events/env.json)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - TCP's
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return int(text)


def _up(arguments: argparse.Namespace) -> int:
    options = Options(
        api_port=arguments.api_port,
        web_port=arguments.web_port,
        platform_port=arguments.platform_port,
        aws_port=arguments.aws_port,
        platform_url=arguments.platform_url,
        pages=tuple(arguments.page),
        app_id=arguments.app_id,
        secrets=arguments.secrets,
        receipts=ReceiptNumber(arguments.receipts) if arguments.receipts else None,
    )
    with ExitStack() as cleanup:
        stack = cleanup.enter_context(Stack(options))
        cleanup.callback(state.remove, arguments.state)
        try:
            state.write(arguments.state, stack)
        except OSError as error:
            raise StackError(f"{arguments.state}: {error.strerror}") from error
        if options.secrets is not None and options.platform_url is None:
            _note("the simulator keeps its own key pair; platformPublicKey of the secrets file is not used")
        if options.secrets is None and options.platform_url is not None:
            _note(
                "without --secrets FILE the keys are fresh ones, which that platform does not know; "
                f"the customer's public key is {stack.keys.public_key}"
            )
        print(json.dumps(stack.addresses()) if arguments.json else _greeting(stack), flush=True)
        while True:
            signal.pause()


def _note(text: str) -> None:
    print(f"local: {text}", file=sys.stderr)


def _greeting(stack: Stack) -> str:
    platform = "another platform, reached with the keys you gave"
    hint = "Verifications go to the platform above, with your keys and its bill."
    if stack.simulator is not None:
        platform = "the platform simulator"
        limit = int(stack.variables[VERIFY_FUNCTION]["DAILY_ATTEMPT_LIMIT"])
        hint = f"""The phone of the demo has the number {SIM_NUMBER}: it logs in; any other is refused.
  A number has {limit} attempts a day, a wrong one {(limit + 1) // 2}; the page's panel gives them back."""
    keys, back_end = "", ""
    if stack.business is not None:
        keys = ", GET /.well-known/jwks.json"
        back_end = f"\n  Business  {stack.business}   logs in by receipt alone: POST /nonce, POST /login"
    return f"""
  Open  {stack.page}

  {hint}

  API       {stack.api}   POST /presign, POST /verify{keys}{back_end}
  Platform  {stack.platform}   {platform}
  AWS       {stack.aws}   Secrets Manager and DynamoDB
  appId     {stack.app_id}

  Ctrl-C ends all of it. What the functions log follows.
"""


def _invoke(arguments: argparse.Namespace) -> int:
    env = arguments.env or (_ENV if _ENV.exists() else None)
    event = read_json(arguments.event)
    overlay = read_overlay(env) if env else {}
    response = invoke(arguments.function, event, overlay, Options(), arguments.state)
    print(json.dumps(response, indent=2, ensure_ascii=False))
    return 0
