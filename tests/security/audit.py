"""Audits what is shipped and how: `make audit`. Ends with status 1 if there is a finding.

The templates, as written and as every switch makes them (cfn-lint and checkov); known vulnerabilities of
what is locked (OSV's, by uv); secrets in history. It also writes `.local/sbom.cdx.json`, what ships of others
(CycloneDX). The code is audited by `make lint`: ruff's rules S are bandit's. What could not be audited is
said, and is not a pass.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from local import ROOT
from tests.support.templates import REGIONS, forms

TOOLS: Final = ROOT / ".venv-audit" / "bin"
UV: Final = ROOT / ".venv" / "bin" / "uv"
CHECKOV: Final = Path(__file__).parent / "checkov.yaml"
SBOM: Final = ROOT / ".local" / "sbom.cdx.json"
TEMPLATES: Final = (ROOT / "template.yaml", *sorted(ROOT.glob("stacks/*.yaml")))
REGIONS_ALIKE: Final = (REGIONS[:2], REGIONS[2:])
"""Of a partition: what one region's forms say is the same in the other."""

SECRETS: Final[Mapping[str, re.Pattern[str]]] = {
    "an RSA private key": re.compile(r"\bMII[A-Za-z0-9+/]{2,5}IBA(?:DANBgkqhkiG9w0BAQEFAASC|AK[BC])"),
    "an EC private key": re.compile(r"\b(?:MHcCAQEE|MIG[HT]AgEAM)[A-Za-z0-9+/]{20,}"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{9}(?!EXAMPLE)[0-9A-Z]{7}\b"),
    "an AWS secret key": re.compile(r"(?i)aws_secret_access_key[\"' ]*[:=][\"' ]*[A-Za-z0-9/+]{40}\b"),
    "a token of a code host": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,}|glpat-[\w-]{20})"
    ),
    "a key of a payment or AI service": re.compile(r"\bsk[_-](?:live|ant|proj)[_-][\w-]{20,}"),
    # Not those of examples (RFC 2606) and of this machine.
    "credentials in an address": re.compile(
        r"https?://[^/\s:@\"'{}<>]{1,64}:[^/\s:@\"'{}<>]{3,64}@(?!127\.|localhost|[\w.-]*\b(?:example|abc\.com))"
    ),
}
MADE_FOR_TESTS: Final = ("tests/vectors/", "tests/security/test_supply_chain.py")
"""Keys that are used nowhere else, and what shows that the search finds one."""


def secrets_in(diff: Iterable[str]) -> Iterator[str]:
    """Search the added lines of a history as `git log -p` writes it; yield file and kind, not the secret."""
    path = ""
    for line in diff:
        if line.startswith("+++ "):
            path = line[4:].strip().removeprefix("b/")
        elif line.startswith("+") and not path.startswith(MADE_FOR_TESTS):
            for what, pattern in SECRETS.items():
                if pattern.search(line):
                    yield f"{path}: {what}"


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LOG_LEVEL": "ERROR"}  # checkov's
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def history() -> list[str]:
    """Search every commit of every branch for secrets."""
    command = ["git", "log", "--all", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--text"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as git:
        assert git.stdout is not None
        found = sorted(set(secrets_in(git.stdout)))
    assert git.returncode == 0
    print(f"history: searched, {len(found)} findings")
    return found


def linted(made: Mapping[str, list[Path]]) -> list[str]:
    """Have cfn-lint read the templates, and each form in the regions that the documents name."""
    findings = []
    for regions in REGIONS_ALIKE:
        # Zones are what an operator answers; in a form they stand as given.
        options = ["--format=parseable", "--ignore-checks=W3010", "--regions", *regions]
        run = _run(TOOLS / "cfn-lint", *options, "--", *TEMPLATES, *made[regions[0]])
        said = (run.stdout + run.stderr).splitlines()
        findings += said or ["cfn-lint failed"] * bool(run.returncode)
    count = sum(map(len, made.values()))
    print(f"cfn-lint: {len(TEMPLATES)} templates, {count} forms, {len(findings)} findings")
    return findings


def checked(made: Mapping[str, list[Path]]) -> list[str]:
    """Have checkov read the templates and their forms."""
    files = [f"--file={path}" for path in (*TEMPLATES, *chain.from_iterable(made.values()))]
    run = _run(TOOLS / "checkov", "--config-file", CHECKOV, *files, "--output=json")
    report = json.loads(run.stdout)
    summary = report["summary"]
    print(f"checkov: {summary['passed']} passed, {summary['failed']} failed, skipped rules in checkov.yaml")
    failed = {f"{each['check_id']} {each['resource']}" for each in report["results"]["failed_checks"]}
    read = summary["passed"] and not summary["parsing_errors"]
    return sorted(failed) if read else [*failed, "checkov has not read everything"]


def advisories() -> list[str]:
    run = _run(UV, "audit", "--frozen", "--preview-features", "audit-command")
    if run.returncode > 1:
        print(f"advisories: NOT AUDITED, which is not a pass; OSV cannot be asked:\n{run.stderr.strip()}")
        return []
    print(f"advisories: {run.stderr.strip()}")
    return [run.stdout.strip()] * run.returncode


def write_sbom() -> None:
    """Have uv list what ships of others'."""
    SBOM.parent.mkdir(exist_ok=True)
    export = ["--quiet", "--frozen", "--only-group", "layer", "--format", "cyclonedx1.5"]
    run = _run(UV, "export", *export, "--preview-features", "sbom-export", "--output-file", SBOM)
    assert run.returncode == 0, run.stderr
    print(f"SBOM: {SBOM.relative_to(ROOT)}")


def main() -> None:
    write_sbom()
    with TemporaryDirectory() as folder:
        made = {region: list(forms(Path(folder), region)) for region, *_ in REGIONS_ALIKE}
        findings = [*linted(made), *checked(made), *advisories(), *history()]
    for finding in findings:
        print(f"FINDING: {finding}", file=sys.stderr)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
