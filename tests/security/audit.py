"""Audits what is shipped and how: `make audit`. Ends with status 1 if there is a finding.

Code (bandit), template (cfn-lint and checkov over what SAM makes of it), known vulnerabilities of what is
locked (pip-audit, or a copy of the OSV database), secrets in the history. What could not be audited is said,
and is no pass.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local import ROOT
from tests.sam.rendering import Rendering, lint, renderings, switches, write

TOOLS: Final = ROOT / ".venv-audit" / "bin"
SHIPPED: Final = ROOT / "layers" / "dependencies" / "requirements.txt"
LOCKS: Final = (SHIPPED, *sorted((ROOT / "requirements").glob("*.txt")))
CHECKOV: Final = Path(__file__).parent / "checkov.yaml"

# What bandit finds in the shipped code, by rule and file, and why it stays.
ACCEPTED: Final[Mapping[tuple[str, str], str]] = {
    ("B105", "layers/crypto/cmpassport/hashing.py"): "the word token, a kind of hash",
    ("B105", "layers/crypto/cmpassport/telemetry.py"): "a metric's name",
    (
        "B303",
        "layers/crypto/cmpassport/signing.py",
    ): "the digests that the platform verifies",
}

SECRETS: Final[Mapping[str, re.Pattern[str]]] = {
    "a PEM private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a bare private key": re.compile(r"MII[A-Za-z0-9+/]{200,}"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an AWS secret key": re.compile(r"(?i)aws_secret_access_key[\"' ]*[:=][\"' ]*[A-Za-z0-9/+]{40}\b"),
    "a token of a code host": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,}|glpat-[\w-]{20})"
    ),
    "a key of a payment or AI service": re.compile(r"\bsk[_-](?:live|ant|proj)[_-][\w-]{20,}"),
    "credentials in an address": re.compile(r"https?://[^/\s:@\"'{}<>]{1,64}:[^/\s:@\"'{}<>]{3,64}@"),
}
# The only files that may hold such things: keys made for tests, which are used nowhere else.
MAY_HOLD_KEYS: Final = ("tests/vectors/",)
# Texts that look like one and are none, by file; the reason stands with each.
LOOKS_LIKE_ONE: Final[Mapping[str, str]] = {
    "tests/security/audit.py": "the patterns themselves",
    "tests/unit/test_keys.py": "PEM's first lines, with no key or with one made for the test",
    "tests/integration/test_doctor_local.py": "an address with user:secret, of which the doctor says so",
    "tests/unit/test_tools_command.py": "PEM's first line around words, put where no key belongs",
    "tests/unit/test_settings.py": "addresses with user:password, which the settings refuse",
    "tests/security/test_supply_chain.py": "made up to see that the search finds them",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Something that looks like a secret, without the thing itself."""

    path: str
    what: str


def secrets_in(diff: Iterable[str]) -> Iterator[Found]:
    """Search the added lines of a history as `git log -p` writes it."""
    path = ""
    for line in diff:
        if line.startswith("+++ "):
            path = line[4:].strip().removeprefix("b/")
        elif line.startswith("+") and not path.startswith(MAY_HOLD_KEYS) and path not in LOOKS_LIKE_ONE:
            for what, pattern in SECRETS.items():
                if pattern.search(line):
                    yield Found(path, what)


def secrets_of_history() -> list[str]:
    """Search every commit of every branch."""
    command = ["git", "log", "--all", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--text"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as git:
        assert git.stdout is not None
        found = sorted({f"{each.path}: {each.what}" for each in secrets_in(git.stdout)})
    assert git.returncode == 0
    count = subprocess.check_output(["git", "rev-list", "--all", "--count"], cwd=ROOT, text=True).strip()
    print(f"secrets: {count} commits searched, {len(found)} findings")
    return found


def code() -> list[str]:
    """Have bandit read what ships; every finding is accepted with a reason, and every reason still needed."""
    run = subprocess.run(
        [TOOLS / "bandit", "--quiet", "--recursive", "--format", "json", "functions", "layers/crypto"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(run.stdout)
    met = {(result["test_id"], result["filename"]): result["line_number"] for result in report["results"]}
    lines = report["metrics"]["_totals"]["loc"]
    print(f"bandit: {lines} lines, {len(met.keys() & ACCEPTED.keys())} accepted with a reason")
    new = [f"{rule} in {path}:{line}" for (rule, path), line in met.items() if (rule, path) not in ACCEPTED]
    errors = [f"cannot read {error['filename']}" for error in report["errors"]]
    return new + errors + [f"{rule} is not met any more in {path}" for rule, path in ACCEPTED.keys() - met]


def template() -> list[str]:
    """Have cfn-lint and checkov read what SAM makes of the template, in every combination of its switches."""
    rendered = renderings(switches())
    forms = sum(len(each.document["Resources"]) for each in rendered)
    print(f"template: {forms} forms of {len(switches().template['Resources'])} resources")
    with tempfile.TemporaryDirectory() as folder:
        linted = lint(TOOLS / "cfn-lint", rendered, Path(folder))
        print(f"cfn-lint: {len(linted)} findings")
    return linted + checkov(rendered)


def checkov(rendered: Iterable[Rendering]) -> list[str]:
    """Have checkov read renderings; give what it finds."""
    with tempfile.TemporaryDirectory() as folder:
        write(rendered, Path(folder))
        run = subprocess.run(
            [f"{TOOLS}/checkov", f"--config-file={CHECKOV}", f"--directory={folder}", "--output=json"],
            cwd=folder,
            env={**os.environ, "LOG_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
            check=False,
        )
    report = json.loads(run.stdout)
    summary = report.get("summary", report)
    failed = report.get("results", {}).get("failed_checks", [])
    print(f"checkov: {summary['passed']} passed, {summary['failed']} failed, skipped rules in checkov.yaml")
    found = {f"{check['check_id']} {check['resource']}: {check['check_name']}" for check in failed}
    if not summary["passed"] or summary.get("parsing_errors"):
        found.add("checkov has not read everything")
    return sorted(found)


def locked(path: Path) -> set[tuple[str, str]]:
    """Read a lock's packages and versions; one package may have several, for different Pythons."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE)
    return {(normalised(name), version) for name, version in found}


def normalised(name: str) -> str:
    """Write a package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def advisories() -> list[str]:
    """Ask for known vulnerabilities of what is locked, and say what could not be asked."""
    wanted = os.environ.get("ADVISORIES", "")
    if wanted.endswith(".zip"):
        return advisories_in_copy(Path(wanted))
    vulnerable: list[str] = []
    unaudited: set[tuple[str, str]] = set()
    total = set().union(*map(locked, LOCKS))
    for lock in LOCKS:
        packages = locked(lock)
        if lock != SHIPPED and unaudited >= locked(SHIPPED):
            unaudited |= packages  # who has not answered once is not asked on
            continue
        run = subprocess.run(
            [TOOLS / "pip-audit", "--require-hashes", "--disable-pip", "--format", "json", "-r", lock],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            answers = json.loads(run.stdout)["dependencies"]
        except ValueError:
            unaudited |= packages
            continue
        audited = {(normalised(each["name"]), each["version"]) for each in answers if "vulns" in each}
        unaudited |= packages - audited
        vulnerable += [
            f"{each['name']} {each['version']} has {vulnerability['id']}"
            for each in answers
            for vulnerability in each.get("vulns", ())
        ]
    print(f"pip-audit: {len(total - unaudited)} of {len(total)} locked packages audited")
    if unaudited:
        print(f"pip-audit: {len(unaudited)} were NOT AUDITED: no source of advisories has answered for them.")
        print("           That is no pass. Run this where pypi.org can be reached, or give it a copy of the")
        print("           OSV database for PyPI: make audit ADVISORIES=/path/to/all.zip")
    missing = [f"{len(unaudited)} packages are not audited"] if unaudited and wanted == "required" else []
    return sorted(set(vulnerable)) + missing


def advisories_in_copy(copy: Path) -> list[str]:
    """Look the locked versions up in a copy of the OSV database for PyPI."""
    packages = set().union(*map(locked, LOCKS))
    found = []
    with zipfile.ZipFile(copy) as database:
        names = database.namelist()
        for name in names:
            advisory: dict[str, Any] = json.loads(database.read(name))
            for affected in () if "withdrawn" in advisory else advisory.get("affected", ()):
                package = normalised(affected.get("package", {}).get("name", ""))
                hit = packages & {(package, version) for version in affected.get("versions", ())}
                found += [f"{name} {version} has {advisory['id']}" for name, version in hit]
    print(f"advisories: {len(packages)} locked packages looked up in {len(names)} advisories of {copy.name}")
    return sorted(set(found))


PARTS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "code": code,
    "template": template,
    "advisories": advisories,
    "secrets": secrets_of_history,
}


def main() -> None:
    """Run all parts, or those that are named."""
    findings = [(part, finding) for part in sys.argv[1:] or PARTS for finding in PARTS[part]()]
    for part, finding in findings:
        print(f"FINDING ({part}): {finding}", file=sys.stderr)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
