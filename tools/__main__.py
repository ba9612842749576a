"""The command line: `python -m tools keys|doctor|explain|plan`.

The commands are imported where Ctrl-C is caught, as that takes a while.
"""

import argparse
import io
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

from cmpassport.clock import utc_now
from tools import ROOT
from tools.commands import parser
from tools.findings import FOUND, ToolError
from tools.given import given
from tools.messages import Text, language_of, text
from tools.output import Output


def main(
    arguments: list[str] | None = None,
    now: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run a command; return the exit code. No stack trace, whatever happens: it might quote a secret."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know no Chinese
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    output = Output(language_of(words, os.environ), {})
    try:
        options = parser(output).parse_args(words, argparse.Namespace(clock=now, sleep=sleep))
        output.given = given(vars(options))
        module, _, function = options.run.partition(":")
        code: int = getattr(import_module(module), function)(options, output)
        sys.stdout.flush()
    except ToolError as error:
        output.fail(error.text)
        return error.exit_code
    except ModuleNotFoundError as error:
        output.fail(text("package-missing", name=error.name))
    except KeyboardInterrupt:
        print(f"\n{output.words(text('stopped'))}", file=sys.stderr)
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last resort; its text may quote a secret
        print(output.words(_unexpected(error)), file=sys.stderr)
    else:
        return code
    return FOUND


def _unexpected(error: Exception) -> Text:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    last = (own or frames)[-1]
    return text("unexpected", error=type(error).__name__, file=Path(last.filename).name, line=last.lineno)


if __name__ == "__main__":
    sys.exit(main())
