"""One browser and one stack for all browser tests; a fresh phone for each, which may not complain."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser

from local.stack import Options, Stack
from tests.e2e.browser import PHONE, LoginPage, chromium, find_chromium
from tests.support.planted import leaks, plant
from tests.support.stacks import start

HERE = Path(__file__).parent
AXE_OPTIONS = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}
_numbers = count(13_700_000_000)


def _missing(part: str) -> NoReturn:
    """Skip where a machine lacks a part; fail where all of them were promised, as in CI."""
    if os.environ.get("ALL_PARTS"):
        pytest.fail(part)
    pytest.skip(part)


@pytest.fixture(scope="module")  # its event loop must not run on through other tests
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        _missing("no Chromium on this machine")
    with chromium(path) as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose functions are less patient with the platform, so that a slow one is soon found out."""
    log = tmp_path_factory.mktemp("e2e") / "functions.log"
    patience = {"PLATFORM_READ_TIMEOUT": "0.5", "PLATFORM_DEADLINE": "1"}
    with start(Options(variables=patience, log=log)) as stack:
        yield stack
    assert not leaks(log.read_text())


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What the tests need from npm, as locked."""
    npm = shutil.which("npm")
    if npm is None:
        _missing("no npm on this machine")
    modules, lock = HERE / "node_modules", HERE / "package-lock.json"
    installed = modules / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([npm, "ci", "--silent"], cwd=HERE, check=True)
        installed.touch()
    return modules


@pytest.fixture
def sim() -> str:
    """A number that no other test has spent an attempt of."""
    number = str(next(_numbers))
    plant(number)
    return number


@pytest.fixture
def phone(browser: Browser, stack: Stack, sim: str) -> Iterator[LoginPage]:
    """A phone with that SIM, on mobile data, on a platform without faults."""
    width, height = PHONE
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        locale="zh-CN",
        reduced_motion="reduce",
    )
    phone = LoginPage.on(stack, context)
    phone.control("DELETE", "faults")
    phone.control("DELETE", "journal")
    phone.insert(sim)
    yield phone
    violations, complaints = phone.violations(), phone.unprovoked()
    phone.let_go()
    context.close()
    phone.control("DELETE", "faults")
    assert violations == []
    assert complaints == []


@pytest.fixture
def axe(node_modules: Path, phone: LoginPage) -> Callable[[], None]:
    """Check what the phone shows, in both schemes."""
    source = (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def check() -> None:
        for scheme in ("light", "dark"):
            phone.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            if not phone.page.evaluate("typeof axe === 'object'"):
                phone.page.evaluate(source)
            found = phone.page.evaluate("(options) => axe.run(document, options)", AXE_OPTIONS)
            assert [_summary(violation) for violation in found["violations"]] == [], scheme

    return check


def _summary(violation: dict[str, Any]) -> str:
    nodes = [f"{node['target']}: {node['failureSummary']}" for node in violation["nodes"]]
    return f"{violation['id']}: {' | '.join(nodes)}"
