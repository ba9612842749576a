"""What `sam build` made: only what runs, compiled, whole, small, the same each time."""

import hashlib
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from tests.sam.conftest import ARCHITECTURE, SAM

MEGABYTE: Final = 1_000_000
SERVICES: Final = ("dynamodb", "secretsmanager")

UNCHECKED_HASH: Final = 0b01
"""Flags of byte code that belongs to a source's hash which is not looked at (PEP 552)."""

MACHINE: Final = {"x86_64": 62, "arm64": 183}
"""ELF's e_machine."""

# Before a script: imports come from the given folders and the standard library alone, as on Lambda.
IN_LAMBDAS_PLACE: Final = """
import json, sys
sys.path[:0] = sys.argv[1:]
"""

COMPILED: Final = """
from importlib.machinery import SourceFileLoader

compiled = []
compile_ = SourceFileLoader.source_to_code

def note(self, data, path, **more):
    compiled.append(path)
    return compile_(self, data, path, **more)

SourceFileLoader.source_to_code = note
"""


@pytest.fixture(scope="session")
def packages(bundle: Path) -> Path:
    return bundle / "DependenciesLayer" / "python"


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def run_in_lambdas_place(python: str, script: str, *roots: Path) -> Any:
    """Run a script that prints JSON, apart from the environment and the working directory."""
    command = [python, "-I", "-B", "-c", IN_LAMBDAS_PLACE + script, *map(str, roots)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("part", "package"),
    [
        ("PreSignFunction", "presign"),
        ("VerifyFunction", "verify"),
        ("CryptoLayer/python", "cmpassport"),
    ],
)
def test_each_part_holds_its_own_package_alone(bundle: Path, part: str, package: str) -> None:
    assert [path.name for path in (bundle / part).iterdir()] == [package]


def test_all_of_it_is_small(bundle: Path) -> None:
    assert sum(path.stat().st_size for path in files(bundle)) <= 30 * MEGABYTE


def test_every_module_has_byte_code_that_is_used_unchecked(bundle: Path) -> None:
    for source in bundle.rglob("*.py"):
        byte_code = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        (flags,) = struct.unpack_from("<I", byte_code.read_bytes(), 4)
        assert flags == UNCHECKED_HASH, source
    assert len(list(bundle.rglob("*.pyc"))) == len(list(bundle.rglob("*.py")))


def test_nothing_ships_that_no_function_runs(packages: Path) -> None:
    names = {path.name for path in packages.rglob("*")}

    assert not names & {"tests", "bin", "examples", "py.typed", "RECORD", "pip", "pycparser"}
    assert not [name for name in names if name.endswith(".pyi")]
    assert {path.name for path in (packages / "botocore" / "data").iterdir() if path.is_dir()} == set(
        SERVICES
    )


def test_every_distribution_keeps_its_version_and_its_licence(packages: Path) -> None:
    for distribution in packages.glob("*.dist-info"):
        names = " ".join(path.name for path in distribution.rglob("*"))
        assert "METADATA" in names
        assert "licen" in names.lower() or "copying" in names.lower(), distribution.name


def test_the_machine_code_is_for_the_templates_architecture(bundle: Path) -> None:
    libraries = list(bundle.rglob("*.so"))

    assert libraries
    for library in libraries:
        (machine,) = struct.unpack_from("<H", library.read_bytes(), 18)
        assert machine == MACHINE[ARCHITECTURE], library


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("cn-north-1", "cn-north-1.amazonaws.com.cn"), ("ap-east-1", "ap-east-1.amazonaws.com")],
)
def test_both_clients_know_their_address_in_each_partition(
    python313: str, packages: Path, region: str, suffix: str
) -> None:
    script = f"""
from botocore.session import Session
session = Session()
session.set_credentials("key", "secret")
print(json.dumps([session.create_client(name, "{region}").meta.endpoint_url for name in {SERVICES!r}]))
"""

    assert run_in_lambdas_place(python313, script, packages) == [
        f"https://{name}.{suffix}" for name in SERVICES
    ]


def test_what_the_functions_import_is_there_and_nothing_is_compiled(
    python313: str, bundle: Path, packages: Path
) -> None:
    before = digest(bundle)
    script = f"""
{COMPILED}
import cmpassport, jmespath
from aws_lambda_powertools import Logger, Metrics
from botocore.session import Session
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives import hashes

key = rsa.generate_private_key(65537, 2048)
key.sign(b"", padding.PKCS1v15(), hashes.MD5())
session = Session()
session.set_credentials("key", "secret")
for name in ("dynamodb", "secretsmanager"):
    session.create_client(name, "cn-north-1")
print(json.dumps(compiled))
"""

    assert run_in_lambdas_place(python313, script, packages, bundle / "CryptoLayer" / "python") == []
    assert digest(bundle) == before


def test_two_builds_are_the_same(bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "build"
    built_for = f"--parameter-overrides=Architecture={ARCHITECTURE}"
    command = [
        str(SAM),
        "build",
        built_for,
        "--no-cached",
        f"--build-dir={again}",
        f"--cache-dir={tmp_path / 'cache'}",
    ]

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
