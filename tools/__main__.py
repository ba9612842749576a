"""The command line: `python -m tools keys|doctor|explain|plan`.

The commands are imported where Ctrl-C is caught, as that takes a while.
"""

import argparse
import io
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Final, NoReturn

from tools import ROOT
from tools.clock import Clock
from tools.commands import Given
from tools.errors import FOUND, ToolError
from tools.text import HelpFormatter, wrapped

_INTERRUPTED: Final = 1
_OPTION: Final = re.compile(r"--?[a-z][a-z-]{0,30}")
_VALUE: Final = re.compile(r"""(['"])(?:(?!\1).){20,}\1|(?<==).+(?= could match)""", re.DOTALL)
"""What argparse quotes of a command line, where it is long; its own choices are short."""

_EXAMPLES: Final = """
examples:
  python -m tools keys new                 make the key pair, private half straight to Secrets Manager
  python -m tools keys check               are the keys right, and what exactly is wrong if not
  python -m tools doctor --help            look a deployment over
  python -m tools explain 130018           what a return code means and who mends it
  python -m tools plan Dashboard=off       what a deployment with these parameters makes

exit codes: 0 all is well, 1 something is wrong or failed, 2 the command line cannot be followed
"""


def main(arguments: list[str] | None = None, clock: Clock | None = None) -> int:
    """Run a command; gives the exit code. No stack trace, whatever happens: it might quote a secret."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know no Chinese
            stream.reconfigure(errors="backslashreplace")
    options = argparse.Namespace()
    try:
        _parser().parse_args(arguments, options)
        options.clock = clock or Clock()
        code: int = options.run(options)
        sys.stdout.flush()
    except ToolError as error:
        remedy = Given.of(options).completed(error.remedy)
        print(wrapped(f"{error}.", "error: ", ""), wrapped(remedy), sep="\n", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped.", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    except Exception as error:  # noqa: BLE001 - the last resort; its text may quote a secret
        print(_unexpected(error), file=sys.stderr)
        return FOUND
    return code


class _Parser(argparse.ArgumentParser):
    """Repeats nothing of the command line that may be a key which was given in the wrong place."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line."""
        told, unknown, rest = message.partition("unrecognized arguments:")
        if unknown:
            named = [option for option in re.split(r"[\s=]", rest) if _OPTION.fullmatch(option)]
            told = " ".join(
                ["what is not understood:", *named] if named else ["there is one argument too many"]
            )
        else:
            told = _VALUE.sub("what was given", message)
        super().error(told)


def _parser() -> argparse.ArgumentParser:
    from tools import doctor, explain, keys, plan  # noqa: PLC0415 - see above

    parser = _Parser(
        prog="python -m tools",
        description="What an operator needs around a deployment.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (keys, doctor, explain, plan):
        command.add_parser(commands)
    return parser


def _unexpected(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    own = [
        place
        for place in traceback.extract_tb(error.__traceback__)
        if Path(place.filename).is_relative_to(ROOT)
    ]
    place = (own or [frame])[-1]
    return (
        f"error: this command has a mistake of its own ({type(error).__name__} in "
        f"{Path(place.filename).name}, line {place.lineno}).\nNothing more of it is shown, since it might "
        "hold a secret. Please report that line with the command."
    )


if __name__ == "__main__":
    sys.exit(main())
