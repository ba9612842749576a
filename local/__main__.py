"""Run the command line, which ends cleanly by Ctrl-C and SIGTERM from its first moment on."""

import signal
import sys
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _end(*_: Any) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    for each in _SIGNALS:
        signal.signal(each, _end)
    from local.command import main  # after that: a Ctrl-C during 0.15 s of imports is one as well

    sys.exit(main())
