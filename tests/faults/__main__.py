"""`python -m tests.faults` writes docs/faults.md."""

from tests.faults.page import PAGE, build

PAGE.write_text(build(), encoding="utf-8")
