"""What comes from others is locked by hash, installed no other way, licensed; no secret is committed."""

import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from tests.security.audit import (
    ACCEPTED,
    LOCKS,
    LOOKS_LIKE_ONE,
    SHIPPED,
    Found,
    advisories_in_copy,
    locked,
    normalised,
    secrets_in,
)
from tests.security.inventory import LEFT_OUT, PAGE, is_permissive, licence, page, shipped

REQUIREMENT: Final = re.compile(
    r"^[A-Za-z0-9._-]+==\S+(?: ; [^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+$"
)
SAM: Final = ROOT / "requirements" / "sam.txt"
NODE_LOCKS: Final = sorted(
    [
        *ROOT.glob("tests/*/package-lock.json"),
        *ROOT.glob("benchmarks/*/*/package-lock.json"),
    ]
)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_is_locked_to_a_version_and_its_hashes(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    entries = re.split(r"\n(?=[A-Za-z0-9])", "\n".join(lines))

    assert len(entries) > 2
    assert [entry.split("\n")[0] for entry in entries if not REQUIREMENT.match(entry.strip())] == []


@pytest.mark.parametrize("wanted", sorted(ROOT.glob("requirements/*.in")), ids=lambda path: path.name)
def test_whatever_is_wanted_is_locked(wanted: Path) -> None:
    names = re.findall(r"^([A-Za-z0-9._-]+)", wanted.read_text(), re.MULTILINE)

    there = {name for name, _ in locked(wanted.with_suffix(".txt"))}
    missing = {normalised(name) for name in names if name[0] != "-"} - there

    assert not missing


@pytest.mark.parametrize("lock", ["dev", "fuzz"])
def test_what_is_tested_is_the_version_that_ships(lock: str) -> None:
    tested = locked(ROOT / "requirements" / f"{lock}.txt")

    assert {pair for pair in tested if pair[0] in shipped()} == set(shipped().items())


@pytest.mark.parametrize("path", ["Makefile", "layers/dependencies/Makefile", ".ci/run", "README.md"])
def test_nothing_is_installed_without_its_hash(path: str) -> None:
    text = (ROOT / path).read_text().replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"\bpip install\b", line)]

    assert all("--require-hashes" in line for line in installs), installs


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=lambda path: path.parent.name)
def test_every_node_package_is_locked_with_its_hash(lock: Path) -> None:
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]

    loose = [name for name, facts in packages.items() if name and "sha512-" not in facts.get("integrity", "")]

    assert not loose


# Licences.


def test_the_page_of_licences_is_what_is_locked() -> None:
    assert PAGE.read_text() == page(), "run: make licences"


def test_every_licence_lets_it_ship() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ") and "==" not in line]
    licences = {row[0].strip("| "): row[2].strip("| ") for row in rows[1:]}

    assert licences.keys() == shipped().keys()
    assert [name for name, text in licences.items() if not is_permissive(text)] == []
    assert not is_permissive("GPL-3.0-only")
    assert not is_permissive("MIT AND GPL-3.0-only")


def test_what_the_layer_leaves_out_is_locked_but_not_listed() -> None:
    assert {name for name, _ in locked(SHIPPED)} > LEFT_OUT
    assert not shipped().keys() & LEFT_OUT
    assert all(f'"{name}' in (ROOT / "layers/dependencies/trim.py").read_text() for name in LEFT_OUT)
    assert callable(licence)


# Advisories.


def test_a_locked_version_is_found_in_a_copy_of_the_advisories(tmp_path: Path) -> None:
    name, version = next(iter(shipped().items()))
    copy = tmp_path / "all.zip"
    with zipfile.ZipFile(copy, "w") as database:
        for identifier, versions, more in (
            ("PYSEC-1", ["0.0.1", version], {}),
            ("PYSEC-2", ["0.0.1"], {}),
            ("PYSEC-3", [version], {"withdrawn": "2026-01-01T00:00:00Z"}),
        ):
            affected = [{"package": {"name": name.upper(), "ecosystem": "PyPI"}, "versions": versions}]
            content = json.dumps({"id": identifier, "affected": affected, **more})
            database.writestr(f"{identifier}.json", content)

    assert advisories_in_copy(copy) == [f"{name} {version} has PYSEC-1"]


def test_of_a_package_that_is_locked_twice_each_version_is_looked_up(tmp_path: Path) -> None:
    (twice,) = {name for name, _ in locked(SAM) if name == "networkx"}
    versions = sorted(version for name, version in locked(SAM) if name == twice)
    copy = tmp_path / "all.zip"
    with zipfile.ZipFile(copy, "w") as database:
        for version in versions:
            affected = [{"package": {"name": twice, "ecosystem": "PyPI"}, "versions": [version]}]
            database.writestr(f"{version}.json", json.dumps({"id": version, "affected": affected}))

    assert len(versions) == 2
    assert advisories_in_copy(copy) == [f"{twice} {version} has {version}" for version in versions]


# Secrets.

PLANTED: Final = {
    "PEM": "-----BEGIN RSA PRIVATE KEY-----",
    "bare Base64": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + "A" * 200,
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "AWS's other half": 'aws_secret_access_key = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"',
    "code host": "ghp_" + "a" * 36,
    "address": "https://somebody:sesame@registry.example/simple",
}


def diff_of(path: str, line: str) -> list[str]:
    return [f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}", "@@ -0,0 +1 @@", f"+{line}"]


@pytest.mark.parametrize("secret", PLANTED.values(), ids=PLANTED)
def test_a_secret_in_a_commit_is_found(secret: str) -> None:
    (found,) = secrets_in(diff_of("functions/verify/app.py", f"key = '{secret}'"))

    assert found.path == "functions/verify/app.py"
    assert secret not in repr(found)
    assert list(secrets_in(diff_of("tests/vectors/rsa-9.pem", secret))) == []


def test_no_committed_file_holds_a_secret() -> None:
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    found: list[Found] = []
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            found += secrets_in([f"+++ b/{name}", *(f"+{line}" for line in lines)])

    assert not found


@pytest.mark.parametrize("path", [*LOOKS_LIKE_ONE, *(path for _, path in ACCEPTED)])
def test_an_exception_is_for_a_file_that_exists(path: str) -> None:
    assert (ROOT / path).is_file()
