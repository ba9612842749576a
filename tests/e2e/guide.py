"""docs/integration.md as the browser tests read it: its text and its samples."""

import re

from local import ROOT


def guide(name: str) -> str:
    """Give the text of a guide."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def sample(name: str, after: str, language: str) -> str:
    """Give the first code block of a language after a heading."""
    section = guide(name).partition(f"## {after}")[2]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]
