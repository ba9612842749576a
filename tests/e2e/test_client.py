"""The client by itself, as a module: what only a made-up API, SDK and time can bring about."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page

from local import ROOT
from local.stack import Stack

WEB: Final = ROOT / "web"
SCENE: Final = Path(__file__).with_name("client.js").read_text(encoding="utf-8")
MODULE: Final = "import * as client from '/number-verification.js'; window.NumberVerification = client"


@pytest.fixture(scope="module")
def client(context: BrowserContext, stack: Stack) -> Iterator[Page]:
    """A page of the stack's origin with nothing in it but the client."""
    page = context.new_page()
    page.goto(f"{stack.page}/number-verification.d.ts")
    page.add_script_tag(content=MODULE, type="module")
    page.wait_for_function("window.NumberVerification")
    page.add_script_tag(content=SCENE)
    yield page
    page.close()


def test_every_answer_and_every_scenario_ends_as_it_should(client: Page) -> None:
    assert client.evaluate("play()") == []


def test_a_number_is_normalised_by_the_apis_own_rule(client: Page) -> None:
    table = json.loads((ROOT / "tests" / "vectors" / "numbers.json").read_text(encoding="utf-8"))
    forms = [form for row in table.values() for form in row]
    found = client.evaluate("(forms) => forms.map(NumberVerification.normalise)", forms)

    expected = [number if number != "refused" else None for number, row in table.items() for _ in row]
    assert dict(zip(forms, found, strict=True)) == dict(zip(forms, expected, strict=True))


def test_each_form_of_the_client_is_under_six_kilobytes_gzipped_and_imports_nothing() -> None:
    for name in ("number-verification.js", "number-verification.classic.js"):
        text = (WEB / name).read_bytes()
        assert len(gzip.compress(text, 9)) < 6000
        assert re.findall(rb"^import|require\(", text, re.MULTILINE) == []


def test_what_is_made_of_the_sources_is_up_to_date() -> None:
    check = [sys.executable, str(WEB / "build.py"), "--check"]
    assert subprocess.run(check, capture_output=True, text=True, check=False).stdout == ""
