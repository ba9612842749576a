"""The two files that a business copies: types, size, behaviour of the module alone, the page's policy."""

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local import ROOT

HERE = Path(__file__).parent
WEB = ROOT / "web"
MODULE = WEB / "number-verification.js"
INDEX = (WEB / "index.html").read_text(encoding="utf-8")


def run(*command: str | Path) -> None:
    finished = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_module_is_strictly_typed_and_agrees_with_its_declarations(node_modules: Path) -> None:
    run(node_modules / ".bin" / "tsc", "--project", HERE)


def test_the_module_is_under_six_kilobytes_gzipped() -> None:
    assert len(gzip.compress(MODULE.read_bytes(), 9)) < 6000


def test_the_module_imports_nothing() -> None:
    code = re.sub(r"/\*.*?\*/|//.*", "", MODULE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"\bimport\b|\bfrom\b|\brequire\b", code) == []


def test_the_module_by_itself() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine")
    run(node, "--test", HERE / "number-verification.test.mjs")


def test_the_policy_names_exactly_the_inline_blocks() -> None:
    run(sys.executable, WEB / "csp.py", "--check")


def test_the_policy_is_strict() -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', INDEX, re.DOTALL)
    directives = {name: sources for name, *sources in map(str.split, policy.split(";"))}

    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == ["'none'"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "connect-src https://api.example.com https://www.cmpassport.com" in policy


def test_addresses_and_app_id_stand_in_one_place() -> None:
    marked, rest = INDEX.split("<!-- ▲ -->")
    for example in ("https://api.example.com", "https://www.cmpassport.com", "300000000000"):
        assert example in marked
        assert example not in rest


def test_the_page_tells_the_platform_its_referer() -> None:
    assert '<meta name="referrer" content="always">' in INDEX


def test_the_page_needs_no_file_but_the_module() -> None:
    paths = re.findall(r"""(?: src=| href=|url\(|import\(| from )["'](?!#|data:)([^"']+)["']""", INDEX)
    assert set(paths) == {"./number-verification.js"}
