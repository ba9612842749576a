"""What `sam build` made: only what runs, compiled, whole, the same each time."""

import hashlib
import struct
import subprocess
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

from local import ROOT
from tests.sam.conftest import ARCHITECTURE, SAM

UNCHECKED_HASH: Final = 0b01
"""Flags of byte code that belongs to a source's hash which is not looked at (PEP 552)."""

MACHINE: Final = {"x86_64": 62, "arm64": 183}
"""ELF's e_machine."""

# What the layer leaves out: other services' descriptions, type stubs, tests, command lines, a compiler for C.
LEFT_OUT: Final = (
    *("boto3/data/*", "boto3/examples/*", "botocore/data/[!_]*/*", "botocore/docs/*", "cffi/*"),
    *("../../../bin/*", "*/py.typed", "*.pyi", "*/tests/*", "*.dist-info/*"),
)


@pytest.fixture(scope="session")
def packages(bundle: Path) -> Path:
    return bundle / "DependenciesLayer" / "python"


@pytest.mark.parametrize(
    ("part", "package"),
    [("PreSignFunction", "presign"), ("VerifyFunction", "verify"), ("CryptoLayer/python", "cmpassport")],
)
def test_each_part_holds_its_own_package_alone(bundle: Path, part: str, package: str) -> None:
    assert [path.name for path in (bundle / part).iterdir()] == [package]


def test_every_module_has_byte_code_that_is_used_unchecked(bundle: Path) -> None:
    for source in bundle.rglob("*.py"):
        byte_code = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        (flags,) = struct.unpack_from("<I", byte_code.read_bytes(), 4)
        assert flags == UNCHECKED_HASH, source
    assert len(list(bundle.rglob("*.pyc"))) == len(list(bundle.rglob("*.py")))


def test_the_layer_has_all_that_is_not_left_out_on_purpose_and_no_more(packages: Path) -> None:
    """The same locked version is installed where the tests run; machine code is named by its Python."""
    names = {path.name for path in packages.rglob("*")}
    shipped = [path.name.partition("-")[0] for path in packages.glob("*.dist-info")]

    assert not names & {"tests", "bin", "examples", "py.typed", "RECORD", "pip", "pycparser"}
    data = packages / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "secretsmanager"}
    for name in shipped:
        for path in distribution(name).files or ():
            left_out = any(fnmatch(str(path), pattern) for pattern in LEFT_OUT)
            assert left_out or path.suffix in {".so", ".pyc"} or (packages / path).is_file(), path


def test_every_distribution_keeps_its_version_and_its_licence(packages: Path) -> None:
    for facts in packages.glob("*.dist-info"):
        names = " ".join(path.name for path in facts.rglob("*"))
        assert "METADATA" in names
        assert "licen" in names.lower() or "copying" in names.lower(), facts.name


def test_the_machine_code_is_for_the_templates_architecture(bundle: Path) -> None:
    libraries = list(bundle.rglob("*.so"))

    assert libraries
    for library in libraries:
        (machine,) = struct.unpack_from("<H", library.read_bytes(), 18)
        assert machine == MACHINE[ARCHITECTURE], library


def test_two_builds_are_the_same(bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "build"
    command: list[str | Path] = [SAM, "build", "--no-cached", f"--build-dir={again}"]
    command += [f"--cache-dir={tmp_path / 'cache'}", f"--parameter-overrides=Architecture={ARCHITECTURE}"]

    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)

    for name in ("PreSignFunction", "VerifyFunction", "CryptoLayer", "DependenciesLayer"):
        assert digest(again / name) == digest(bundle / name), name


def digest(folder: Path) -> str:
    """Hash all that a zip of the folder would hold: names, modes, times, contents."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.stat()
        whole.update(f"{path.relative_to(folder)} {facts.st_mode:o} {facts.st_mtime_ns}\n".encode())
        whole.update(path.read_bytes() if path.is_file() else b"")
    return whole.hexdigest()
