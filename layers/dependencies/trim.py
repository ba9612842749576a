"""Take out of the dependencies layer what no function uses, so that it is small and loads fast.

botocore describes four hundred services with all their operations; five operations are called. What stays
behaves as before, in every partition and region: tests hold each call, error and address against botocore as
it was installed. What is edited must be found as expected, or the build fails and a new version is looked at.
"""  # noqa: INP001 (a script of the build, not a package)

import gzip
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

OPERATIONS = {
    "dynamodb": frozenset({"DeleteItem", "GetItem", "PutItem", "UpdateItem"}),
    "secretsmanager": frozenset({"GetSecretValue"}),
}
"""Each service's operations that the functions call."""

UNUSED = (
    "bin",  # command lines
    "boto3/data",  # descriptions for boto3.resource; the functions use clients
    "boto3/examples",
    "botocore/docs/bcdoc",
    "botocore/docs/[!_du]*.py",  # client.py, method.py and so on: writers of documentation
    "cffi",  # its compiler, and the C parser for it; at run time cryptography needs _cffi_backend alone
    "pycparser",
    "pycparser-*.dist-info",
    "**/__pycache__",
    "**/tests",
    "**/*.pyi",
    "**/py.typed",
)
# A distribution keeps name, version and licence (METADATA, LICENSE, licenses/); these are the installer's.
INSTALLER_FILES = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED", "top_level.txt", "entry_points.txt")

SERIALIZATION = "cryptography/hazmat/primitives/serialization"
EDITS = (
    # Documentation of a client's methods, which would be made when somebody reads it.
    ("botocore/docs/__init__.py", r"(?s)\A.*\Z", ""),
    (
        "botocore/docs/docstring.py",
        r"(?s)\A.*\Z",
        """class _Nothing(str):
    def __new__(cls, *_, **__):
        return super().__new__(cls)


ClientMethodDocstring = PaginatorDocstring = WaiterDocstring = _Nothing
""",
    ),
    # Whether there is HTTP/2 is a question to another package's version, and asking takes long to import.
    (
        "urllib3/http2/__init__.py",
        r"(?m)^from importlib\.metadata import version$",
        "def version(name):\n    from importlib.metadata import version\n\n    return version(name)",
    ),
    # Expressions that pick an identifier out of an event, and the folder that the package lies in.
    (
        "aws_lambda_powertools/logging/logger.py",
        r"(?m)^from aws_lambda_powertools\.utilities import jmespath_utils$",
        """from aws_lambda_powertools.shared.lazy_import import LazyLoader

jmespath_utils = LazyLoader("jmespath_utils", globals(), "aws_lambda_powertools.utilities.jmespath_utils")
""",
    ),
    (
        "aws_lambda_powertools/shared/functions.py",
        r"(?m)^from pathlib import Path$",
        """def Path(*parts):
    from pathlib import Path

    return Path(*parts)
""",
    ),
    ("aws_lambda_powertools/__init__.py", r"(?m)^from pathlib import Path$", ""),
    ("aws_lambda_powertools/__init__.py", r"(?m)^PACKAGE_PATH = Path\(__file__\)\.parent$", ""),
    # Keys of SSH, which are loaded when somebody asks for them.
    (
        f"{SERIALIZATION}/__init__.py",
        r"(?s)from cryptography\.hazmat\.primitives\.serialization\.ssh import \(.*?\)\n",
        """

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.ssh"), name)


""",
    ),
)
"""Imports at a start for what no function does: file, what is looked for, and what stands there instead."""


def trim(packages: Path) -> None:
    """Trim the packages in a folder that pip has filled.

    Parameters
    ----------
    packages
        The layer's ``python`` folder.
    """
    remove(path for pattern in UNUSED for path in packages.glob(pattern))
    remove(path for name in INSTALLER_FILES for path in packages.glob(f"*.dist-info/{name}"))
    data = packages / "botocore" / "data"
    remove(path for path in data.iterdir() if path.is_dir() and path.name not in OPERATIONS)
    for service, operations in OPERATIONS.items():
        trim_service(data / service, operations)
    trim_endpoints(data / "endpoints.json")
    for name, expected, replacement in EDITS:
        edit(packages / name, expected, replacement)


def remove(paths: Iterator[Path]) -> None:
    """Remove files and folders."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def edit(path: Path, expected: str, replacement: str) -> None:
    """Replace what is expected in a file; raise ValueError where it is not there exactly once."""
    text, count = re.subn(expected, lambda _: replacement, path.read_text(encoding="utf-8"), count=2)
    if count != 1:
        raise ValueError(f"{path} is not as expected: look at what this version imports")
    path.write_text(text, encoding="utf-8")


def trim_service(folder: Path, operations: frozenset[str]) -> None:
    """Keep of one service's newest API version the operations in use, without documentation, unpacked.

    Pagers, waiters and examples go: none is of an operation in use.
    """
    *older, newest = sorted(folder.iterdir())
    remove(iter(older))
    remove(
        path for path in newest.iterdir() if not path.name.startswith(("service-2.", "endpoint-rule-set-1."))
    )
    for packed in newest.glob("*.json.gz"):
        content = without_documentation(json.loads(gzip.decompress(packed.read_bytes())))
        if packed.name == "service-2.json.gz":
            content = with_operations(content, operations)
        # Plain, as unpacking takes longer than reading what is left.
        write_json(packed.with_suffix(""), content)
        packed.unlink()


def with_operations(description: dict[str, Any], operations: frozenset[str]) -> dict[str, Any]:
    """Return a service description with some of its operations and the shapes that these reach."""
    kept = {name: description["operations"][name] for name in sorted(operations)}
    shapes: dict[str, Any] = {}
    waiting = list(shapes_in(kept.values()))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = description["shapes"][name]
            waiting += shapes_in([shapes[name]])
    return {**description, "operations": kept, "shapes": dict(sorted(shapes.items()))}


def shapes_in(values: Iterable[Any]) -> Iterator[str]:
    """Find the names of shapes that a part of a description refers to."""
    for value in values:
        if isinstance(value, dict):
            if isinstance(value.get("shape"), str):
                yield value["shape"]
            yield from shapes_in(value.values())
        elif isinstance(value, list):
            yield from shapes_in(value)


def without_documentation(value: Any) -> Any:
    """Return a service description without its documentation texts.

    A structure's member may be called documentation too; that one is an object, not a text.
    """
    if isinstance(value, dict):
        return {
            key: without_documentation(inner)
            for key, inner in value.items()
            if not (key == "documentation" and isinstance(inner, str))
        }
    if isinstance(value, list):
        return [without_documentation(inner) for inner in value]
    return value


def trim_endpoints(path: Path) -> None:
    """Keep every partition and region, but of their services only those in use."""
    endpoints = json.loads(path.read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: data for name, data in partition["services"].items() if name in OPERATIONS
        }
    write_json(path, endpoints)


def write_json(path: Path, value: Any) -> None:
    """Write JSON without blanks."""
    path.write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
