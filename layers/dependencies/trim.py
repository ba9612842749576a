"""Take out of the dependencies layer what no function uses, so that it is small and loads fast.

botocore describes four hundred services, of which two are called; the words of its documentation are
most of the rest. What stays behaves as before: all operations, pagers and waiters of the services in use,
in every partition.
"""  # noqa: INP001 (a script of the build, not a package)

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVICES = frozenset({"dynamodb", "secretsmanager"})

UNUSED = (
    "bin",  # command lines
    "boto3/data",  # descriptions for boto3.resource; the functions use clients
    "boto3/examples",
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
    remove(path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES)
    for service in SERVICES:
        trim_service(data / service)
    trim_endpoints(data / "endpoints.json")


def remove(paths: Iterator[Path]) -> None:
    """Remove files and folders."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def trim_service(folder: Path) -> None:
    """Keep one service's newest API version, without examples and documentation, unpacked."""
    *older, newest = sorted(folder.iterdir())
    remove(iter(older))
    remove(newest.glob("examples-*"))
    for packed in newest.glob("*.json.gz"):
        # Plain, as unpacking takes longer than reading what is left.
        write_json(
            packed.with_suffix(""), without_documentation(json.loads(gzip.decompress(packed.read_bytes())))
        )
        packed.unlink()


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
            name: data for name, data in partition["services"].items() if name in SERVICES
        }
    write_json(path, endpoints)


def write_json(path: Path, value: Any) -> None:
    """Write JSON without blanks."""
    path.write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
