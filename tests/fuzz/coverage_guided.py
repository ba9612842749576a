"""Fuzzes one target with atheris: `python -m tests.fuzz.coverage_guided TARGET [libFuzzer's arguments]`.

Run by the Python of `.venv-fuzz`, which alone has atheris; `make fuzz` does it for each target.
"""

import sys
from typing import Final

import atheris

INSTRUMENTED: Final = [
    "presign.grammar",
    "verify.message",
    "verify.submission",
    "cmpassport.clock",
    "json.decoder",
    "tests.fuzz.targets",
]


def main() -> None:
    """Fuzz until libFuzzer's own limits end it."""
    name = sys.argv.pop(1)
    if name != "answer":  # the hook knows no pattern.match with a position, which json's scanner calls
        atheris.enabled_hooks.add("RegEx")
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what it imports is instrumented
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
