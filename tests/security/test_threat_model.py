"""docs/security.md names tests; each exists, and each threat has some."""

import ast
import re
from typing import Final

import pytest

from local import ROOT

TEXT: Final = (ROOT / "docs" / "security.md").read_text()
THREATS: Final = re.split(r"^### ", TEXT.partition("## What is run")[0], flags=re.MULTILINE)[1:]
NAMED: Final = sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_exists(path: str, test: str) -> None:
    tree = ast.parse((ROOT / path).read_text())

    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("threat", THREATS, ids=lambda text: text.splitlines()[0])
def test_every_threat_has_a_defence_and_a_test(threat: str) -> None:
    assert "*Defence.*" in threat
    assert re.search(r"^- `tests/", threat, re.MULTILINE)


def test_threats_are_numbered_in_their_order() -> None:
    assert [int(threat.split(".")[0]) for threat in THREATS] == list(range(1, len(THREATS) + 1))


@pytest.mark.parametrize("command", re.findall(r"`make ([a-z-]+)", TEXT))
def test_every_command_is_a_target(command: str) -> None:
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
