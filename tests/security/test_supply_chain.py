"""What comes from others is locked by hash, installed no other way, licensed; no secret is committed."""

import json
import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from tests.security.audit import UV, secrets_in

LOCK: Final = tomllib.loads((ROOT / "uv.lock").read_text())
LAYER: Final = ROOT / "layers" / "dependencies" / "requirements.txt"
COMMITTED: Final = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
NODE_LOCKS: Final = [ROOT / name for name in COMMITTED if name.endswith("package-lock.json")]
NOT_SHIPPED: Final = "pycparser"
"""Needed to build cffi, not to run it: layers/dependencies/trim.py removes it."""

PERMISSIVE: Final = re.compile(
    r"MIT|Apache|BSD|PSF|Dual License"  # the last is python-dateutil's: Apache-2.0 or BSD-3-Clause
)


def shipped() -> dict[str, str]:
    found = dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", LAYER.read_text(), re.MULTILINE))
    return {name: version for name, version in found.items() if name != NOT_SHIPPED}


def test_the_lock_is_of_what_pyproject_wants() -> None:
    subprocess.run([UV, "lock", "--check", "--offline", "--quiet"], cwd=ROOT, check=True)


def test_the_layer_is_what_is_locked() -> None:
    command = ["export", "--quiet", "--frozen", "--no-annotate", "--no-header", "--only-group", "layer"]

    assert LAYER.read_text() == subprocess.check_output([UV, *command], cwd=ROOT, text=True), "run: make lock"


def test_what_is_tested_and_fuzzed_is_the_version_that_ships() -> None:
    locked: dict[str, set[str]] = {}
    for group in ("dev", "fuzz"):
        command = ["export", "--quiet", "--frozen", "--no-hashes", "--only-group", group]
        for line in subprocess.check_output([UV, *command], cwd=ROOT, text=True).splitlines():
            name, _, version = line.partition(" ")[0].partition("==")
            locked.setdefault(name, set()).add(version)

    assert {name: locked[name] for name in shipped()} == {name: {it} for name, it in shipped().items()}


def test_what_is_locked_comes_from_the_public_index_alone() -> None:
    sources = [each["source"] for each in LOCK["package"] if each["name"] != "number-verification"]

    assert [each for each in sources if each != {"registry": "https://pypi.org/simple"}] == []


@pytest.mark.parametrize("path", ["Makefile", "layers/dependencies/Makefile", ".ci/run"])
def test_nothing_is_installed_without_its_hash(path: str) -> None:
    text = (ROOT / path).read_text().replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"pip install\b", line)]

    assert all("--require-hashes" in line for line in installs), installs


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=lambda path: path.parent.name)
def test_every_node_package_is_locked_with_its_hash(lock: Path) -> None:
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]

    loose = [name for name, facts in packages.items() if "sha512-" not in facts.get("integrity", "")]

    assert [name for name in loose if name and not packages[name].get("inBundle")] == []


@pytest.mark.parametrize("name", shipped())
def test_its_licence_lets_it_ship(name: str) -> None:
    facts: Any = distribution(name).metadata

    stated = facts.get("License-Expression") or facts.get("License") or str(facts.get_all("Classifier"))

    assert PERMISSIVE.match(stated.partition("\n")[0]), stated


PLANTED: Final = {
    "PKCS#8": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + "A" * 200,
    "PKCS#1": "MIIEpAIBAAKCAQEA" + "A" * 200,
    "EC": "MHcCAQEEI" + "A" * 40,
    "AWS": "AKIAIOSFODNN7TESTING",
    "AWS's other half": 'aws_secret_access_key = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"',
    "code host": "ghp_" + "a" * 36,
    "address": "https://somebody:sesame@registry.test/simple",
}


def diff_of(path: str, text: str) -> list[str]:
    return [f"+++ b/{path}", *(f"+{line}" for line in text.splitlines())]


@pytest.mark.parametrize("secret", PLANTED.values(), ids=PLANTED)
def test_a_secret_in_a_commit_is_found(secret: str) -> None:
    (found,) = secrets_in(diff_of("functions/verify/app.py", f"key = '{secret}'"))

    assert found.startswith("functions/verify/app.py: ")
    assert secret not in found
    assert list(secrets_in(diff_of("tests/vectors/rsa-9.pem", secret))) == []


def test_no_committed_file_holds_a_secret() -> None:
    for name in COMMITTED:
        if name and (ROOT / name).is_file():
            assert list(secrets_in(diff_of(name, (ROOT / name).read_text(errors="replace")))) == []
