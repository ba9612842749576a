"""What ships of other people's, with versions and licences: docs/licences.md and a CycloneDX SBOM.

`make licences` writes the page, `make sbom` the SBOM. Both read what the lock of the dependencies layer
names, less what the layer leaves out, from installed packages' own metadata.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, Final

from local import ROOT
from tests.security.audit import SHIPPED, TOOLS, locked

PAGE: Final = ROOT / "docs" / "licences.md"
SBOM: Final = ROOT / ".local" / "sbom.cdx.json"
LEFT_OUT: Final = frozenset({"pycparser"})
"""Needed to build cffi, not to run it: layers/dependencies/trim.py removes it."""

SPDX: Final = {
    "MIT License": "MIT",
    "MIT": "MIT",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",
}
PERMISSIVE: Final = frozenset(
    {"MIT", "MIT-0", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "PSF-2.0", "MPL-2.0"}
)


def shipped() -> dict[str, str]:
    """Give the packages of the layer and their versions."""
    return {name: version for name, version in sorted(locked(SHIPPED)) if name not in LEFT_OUT}


def licence(package: Distribution) -> str:
    """Give a package's licence as an SPDX expression, from the newest field of its metadata that it has."""
    facts: Any = package.metadata
    stated = facts.get("License", "").splitlines()
    classifiers = [text for text in facts.get_all("Classifier", []) if text.startswith("License ::")]
    classified = [text.rpartition(" :: ")[2] for text in classifiers]
    texts = filter(None, (facts.get("License-Expression"), *stated[:1], *classified))
    text = str(next(texts, "unknown"))
    return SPDX.get(text, text)


def is_permissive(expression: str) -> bool:
    """Tell whether every part of an expression (or one of its alternatives) may ship with anything."""
    alternatives = [re.split(r"\s+AND\s+", part) for part in re.split(r"\s+OR\s+", expression)]
    return any(all(name.strip("() ") in PERMISSIVE for name in names) for names in alternatives)


def page() -> str:
    """Write the page."""
    packages = sorted(shipped().items())
    rows = [f"| {name} | {version} | {licence(distribution(name))} |" for name, version in packages]
    return "\n".join(
        (
            "# Licences of what ships",
            "",
            "The dependencies layer has these packages of others; the rest of the bundle is this project's.",
            "`make licences` made this from the lock and the packages' own metadata; `make sbom` writes the",
            "same as a CycloneDX SBOM to `.local/sbom.cdx.json`.",
            "",
            "| package | version | licence |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def sbom() -> dict[str, Any]:
    """Have cyclonedx-py describe the lock; add licences, and take out what does not ship."""
    made = subprocess.check_output(
        [TOOLS / "cyclonedx-py", "requirements", "--output-reproducible", "--sv", "1.6", SHIPPED], text=True
    )
    bill: dict[str, Any] = json.loads(made)
    left_out = {part["bom-ref"] for part in bill["components"] if part["name"] in LEFT_OUT}
    bill["components"] = [part for part in bill["components"] if part["bom-ref"] not in left_out]
    for part in bill["components"]:
        part["licenses"] = [{"expression": licence(distribution(part["name"]))}]
    bill["dependencies"] = [each for each in bill.get("dependencies", ()) if each["ref"] not in left_out]
    bill["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "number-verification",
        "name": "number-verification",
    }
    return bill


def main() -> None:
    """Write what is asked for."""
    if sys.argv[1:] == ["licences"]:
        PAGE.write_text(page())
        return
    path = Path(sys.argv[2]) if sys.argv[2:] else SBOM
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(sbom(), indent=2) + "\n")


if __name__ == "__main__":
    main()
