"""The recipes of recipes/, each in a process of its own that answers a line with a line.

Programs in tests/recipes drive them. Each needs its language, and what `make recipe-parts` brings.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pytest

from benchmarks.emulator import PartMissingError
from local import ROOT
from tests.support.parts import java
from tests.support.receipts import AUDIENCE, Attempt, business_key, pem

RECIPES: Final = ROOT / "recipes"
_DRIVERS: Final = ROOT / "tests" / "recipes"
_MAVEN: Final = Path.home() / ".m2" / "repository"
_BRINGS: Final = "make recipe-parts brings it"
_SHA256: Final = {
    "jose4j-0.9.6.jar": "7314af50cde9c99e8eaf43eee617a23edcc6bb43036221064355094999d837ef",
    "slf4j-api-1.7.36.jar": "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0",
}
"""Of the jars that are run, and no others: what else is in Maven's local repository is anybody's."""


@contextmanager
def skipping_without_parts() -> Iterator[None]:
    """Skip where a machine lacks a part; fail where all of them were promised, as in CI."""
    try:
        yield
    except PartMissingError as error:
        if os.environ.get("ALL_PARTS"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@dataclass(frozen=True, slots=True)
class Verifier:
    """A verifier in a recipe's process."""

    driver: "Driver"
    index: int

    def verify(self, attempt: Attempt) -> dict[str, Any]:
        """Show it a receipt: what it said of it (`claims`) or the `reason` for refusing it."""
        return self._ask(do="verify", nonce=attempt.nonce, receipt=attempt.receipt, at=attempt.at)

    def verify_without_nonce(self, receipt: str, at: float) -> dict[str, Any]:
        """Show it a receipt where no nonce was given."""
        return self._ask(do="verify", receipt=receipt, at=at)

    def race(self, receipts: Sequence[str], nonce: str, at: float) -> list[dict[str, Any]]:
        """Show it several at once."""
        answers: list[dict[str, Any]] = self._ask(do="race", nonce=nonce, receipts=receipts, at=at)["answers"]
        return answers

    def _ask(self, **command: Any) -> dict[str, Any]:
        return self.driver.ask(verifier=self.index, **command)


@dataclass(frozen=True, slots=True)
class Driver:
    """A recipe's process."""

    commands: IO[str]
    answers: IO[str]

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command; a process that ends instead of answering fails the test by its standard error."""
        self.commands.write(json.dumps(command) + "\n")
        self.commands.flush()
        line = self.answers.readline()
        assert line, "the recipe's process has ended: see its standard error"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def new(
        self, jwks: str, audiences: Sequence[str] = (AUDIENCE,), keys: Sequence[str] | None = None
    ) -> Verifier:
        """Make a verifier; it decrypts with the business's key where no other is given."""
        keys = [pem(business_key())] if keys is None else keys
        answer = self.ask(do="new", jwks=jwks, audiences=audiences, keys=keys, full=False)
        return Verifier(self, answer["verifier"])

    def new_with_full_store(self, jwks: str) -> Verifier:
        """Make a verifier whose store has seen each jti that names its own end, and fails for any other."""
        answer = self.ask(do="new", jwks=jwks, audiences=(AUDIENCE,), keys=(), full=True)
        return Verifier(self, answer["verifier"])

    def unusable(
        self, jwks: str, audiences: Sequence[str] = (AUDIENCE,), keys: Sequence[str] = ()
    ) -> str | None:
        """Try to make a verifier; what it says against that."""
        return self.ask(do="new", jwks=jwks, audiences=audiences, keys=keys, full=False).get("unusable")


@contextmanager
def running(command: Sequence[str], **environment: str) -> Iterator[Driver]:
    """Run a program that drives a recipe."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Driver(process.stdin, process.stdout)


@contextmanager
def python_recipe(_: Path) -> Iterator[Driver]:
    """Run the Python recipe."""
    with running([sys.executable, str(_DRIVERS / "driver.py")], PYTHONPATH=str(ROOT)) as driver:
        yield driver


@contextmanager
def node_recipe(_: Path) -> Iterator[Driver]:
    """Run the Node.js recipe.

    Raises
    ------
    PartMissingError
        There is no Node.js, or no jose.
    """
    node = program("node", "Node.js 20 or newer (Debian: nodejs)")
    if not (RECIPES / "node" / "node_modules" / "jose").is_dir():
        raise PartMissingError(f"jose for Node.js is missing: {_BRINGS}")
    with running([node, str(_DRIVERS / "driver.js")]) as driver:
        yield driver


@contextmanager
def java_recipe(folder: Path) -> Iterator[Driver]:
    """Compile the Java recipe with every warning an error, and run it.

    Raises
    ------
    PartMissingError
        There is no JDK, or no jose4j.
    """
    path = ":".join([str(folder), *map(str, jars())])
    sources = [
        RECIPES / "java/src/main/java/numberverification/ReceiptVerifier.java",
        _DRIVERS / "Driver.java",
    ]
    launcher = java()
    compile_it = ["javac", "-Xlint:all", "-Werror", "--release", "17", "-classpath", path, "-d", str(folder)]
    subprocess.run([*compile_it, *map(str, sources)], check=True)
    with running([launcher, "-XX:TieredStopAtLevel=1", "-classpath", path, "Driver"]) as driver:
        yield driver


@contextmanager
def go_recipe(folder: Path) -> Iterator[Driver]:
    """Compile the Go recipe, and run it.

    Raises
    ------
    PartMissingError
        There is no Go.
    """
    compiled = folder / "driver"
    go("build", "-o", str(compiled), ".", at=_DRIVERS / "go", folder=folder)
    with running([str(compiled)]) as driver:
        yield driver


def go(*arguments: str, at: Path, folder: Path) -> None:
    """Run Go's command in a folder that finds the recipe beside it, and nothing that would be fetched.

    Raises
    ------
    PartMissingError
        There is no Go.
    """
    command = program("go", "Go 1.19 or newer (Debian: golang-go)")
    workspace = folder / "go.work"
    modules = sorted({RECIPES / "go", at})
    workspace.write_text("go 1.19\n" + "".join(f"use {module}\n" for module in modules))
    settings = {"GOWORK": str(workspace), "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    subprocess.run([command, *arguments], cwd=at, env={**os.environ, **settings}, check=True)


def jars() -> list[Path]:
    """Give jose4j, in the version of the recipe's pom.xml, and what it needs, in Maven's local repository.

    Raises
    ------
    PartMissingError
        They are not there.
    ValueError
        One of them is not the one that is pinned.
    """
    pom = (RECIPES / "java" / "pom.xml").read_text()
    version = re.search(r"<artifactId>jose4j</artifactId>\s*<version>([\d.]+)</version>", pom)
    assert version is not None
    return [_jar("org.bitbucket.b_c", "jose4j", version[1]), _jar("org.slf4j", "slf4j-api", "1.7.36")]


def _jar(group: str, name: str, version: str) -> Path:
    jar = _MAVEN.joinpath(*group.split("."), name, version, f"{name}-{version}.jar")
    if not jar.is_file():
        raise PartMissingError(f"{name} {version} is missing: {_BRINGS}")
    if hashlib.sha256(jar.read_bytes()).hexdigest() != _SHA256.get(jar.name):
        raise ValueError(f"{jar} is not the one that is pinned: pin a new version, or delete it; {_BRINGS}")
    return jar


def program(name: str, what: str) -> str:
    """Find a command of the machine.

    Raises
    ------
    PartMissingError
        It is not there.
    """
    path = shutil.which(name)
    if path is None:
        raise PartMissingError(f"{name} is missing: {what}")
    return path


def main() -> None:
    """Say which of the libraries for Java is missing, if any."""
    try:
        jars()
    except PartMissingError as error:
        sys.exit(f"{error.args[0].partition(':')[0]} in {_MAVEN}; asking Maven")


LANGUAGES: Final[dict[str, Callable[[Path], Any]]] = {
    "python": python_recipe,
    "node": node_recipe,
    "java": java_recipe,
    "go": go_recipe,
}


if __name__ == "__main__":
    main()
