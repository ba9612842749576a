"""What the dependencies layer leaves out: what the build says, and not a module more."""

import os
import subprocess
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

# Whole files by design: other services' descriptions, type stubs, tests, command lines, a compiler for C.
LEFT_OUT: Final = (
    "../../../bin/*",
    "boto3/data/*",
    "boto3/examples/*",
    "botocore/data/*",
    "botocore/docs/*",
    "cffi/*",
    "*/py.typed",
    "*.pyi",
    "*/tests/*",
    "*.dist-info/*",
)
DISTRIBUTIONS: Final = (
    "aws-lambda-powertools",
    "boto3",
    "botocore",
    "cffi",
    "cryptography",
    "jmespath",
    "joserfc",
    "python-dateutil",
    "s3transfer",
    "six",
    "typing-extensions",
    "urllib3",
)
DATA: Final = (
    "_retry.json",
    "endpoints.json",
    "partitions.json",
    "sdk-default-configuration.json",
    "dynamodb/2012-08-10/service-2.json",
    "dynamodb/2012-08-10/endpoint-rule-set-1.json",
    "secretsmanager/2017-10-17/service-2.json",
    "secretsmanager/2017-10-17/endpoint-rule-set-1.json",
)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_file_that_was_not_left_out_on_purpose_is_there(bundle: Path, name: str) -> None:
    """The same locked version is installed where the tests run; machine code is named by its Python."""
    packages = bundle / "DependenciesLayer" / "python"
    expected = [
        str(path)
        for path in distribution(name).files or ()
        if not any(fnmatch(str(path), pattern) for pattern in LEFT_OUT) and path.suffix not in {".so", ".pyc"}
    ]

    assert expected or name == "cffi"
    assert [path for path in expected if not (packages / path).is_file()] == []


def test_the_layer_has_no_distribution_that_is_not_looked_at(bundle: Path) -> None:
    packages = bundle / "DependenciesLayer" / "python"
    found = {path.name.partition("-")[0].replace("_", "-") for path in packages.glob("*.dist-info")}

    assert found == set(DISTRIBUTIONS)


def test_botocores_own_data_and_the_two_services_are_there(bundle: Path) -> None:
    data = bundle / "DependenciesLayer" / "python" / "botocore" / "data"

    assert [name for name in DATA if not (data / name).is_file()] == []


def test_machine_code_is_there_for_cryptography_and_its_foreign_functions(bundle: Path) -> None:
    packages = bundle / "DependenciesLayer" / "python"

    assert {path.name.partition(".")[0] for path in packages.rglob("*.so")} >= {"_rust", "_cffi_backend"}


SCRIPTS: Final = {
    "keys of SSH": """
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
load_ssh_public_key(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA" + b"A" * 42)
""",
    "correlation identifiers": """
from types import SimpleNamespace
from aws_lambda_powertools import Logger
logger = Logger()
names = ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id")
handler = logger.inject_lambda_context(correlation_id_path="id")(lambda event, context: event)
handler({"id": "1"}, SimpleNamespace(**dict.fromkeys(names, "1")))
assert logger.get_correlation_id() == "1"
""",
    "a client without documentation": """
from botocore.session import Session
client = Session().create_client("dynamodb", "cn-north-1", aws_access_key_id="a", aws_secret_access_key="b")
assert (client.put_item.__doc__, client.waiter_names) == ("", [])
""",
    "HTTP/2": "import urllib3.http2",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_is_loaded_later_or_left_out_is_not_missed(bundle: Path, python313: str, script: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(bundle / "DependenciesLayer" / "python")}

    run = subprocess.run(
        [python313, "-c", script], env=environment, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
