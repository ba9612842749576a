"""How a command fails: one sentence that says what is wrong, one that says what to do next."""

from typing import Final

FOUND: Final = 1
"""Exit code of a finding or a failure."""
WRONG_USE: Final = 2
"""Exit code of a command line that cannot be followed, as argparse's own."""


class ToolError(Exception):
    """A command cannot go on. Its text never carries a secret.

    Parameters
    ----------
    what
        One sentence, without a full stop at the end.
    remedy
        What the operator does next: sentences or a command.
    exit_code
        What the process ends with.
    """

    def __init__(self, what: str, remedy: str, exit_code: int = FOUND) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.exit_code = exit_code
