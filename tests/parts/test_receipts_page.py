"""The code of docs/receipts.md in Node.js, Java and Go, on good receipts and on forged ones."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pytest

from benchmarks.emulator import PartMissingError
from tests.support.attacks import ATTACKS, REPLAYS
from tests.support.parts import command, required
from tests.support.receipt_secrets import HASH_KEY, part
from tests.support.receipts import NONCE, NUMBER, Issuer, snippet

DRIVERS: Final = Path(__file__).parent / "receipts"
JARS: Final = [
    Path.home() / ".m2/repository" / jar
    for jar in (
        "org/bitbucket/b_c/jose4j/0.9.6/jose4j-0.9.6.jar",
        "org/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar",
    )
]
GO_SOURCES: Final = Path("/usr/share/gocode")  # where Debian's packages put libraries

pytestmark = pytest.mark.parametrize("language", ["js", "java", "go"], scope="module")


def found(path: Path) -> Path:
    if not path.exists():
        raise PartMissingError(f"{path} is missing: make test-parts or .ci/run brings it")
    return path


def node(folder: Path, code: str) -> Sequence[str]:
    (folder / "receipts.js").write_text(code)
    shutil.copy(DRIVERS / "driver.js", folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(found(DRIVERS.parent / "node_modules/jose").parent)
    return [command("node", "nodejs"), str(folder / "driver.js")]


def java(folder: Path, code: str) -> Sequence[str]:
    (folder / "Receipts.java").write_text(code)
    path = os.pathsep.join(map(str, [folder, *map(found, JARS)]))
    sources = [str(folder / "Receipts.java"), str(DRIVERS / "Driver.java")]
    options = ["-Xlint:all", "-Werror", "--release", "17", "-classpath", path, "-d", str(folder)]
    subprocess.run([command("javac", "default-jdk-headless"), *options, *sources], check=True)
    return ["java", "-XX:TieredStopAtLevel=1", "-classpath", path, "Driver"]


def go(folder: Path, code: str) -> Sequence[str]:
    library, package = folder / "src/github.com/go-jose/go-jose/v4", folder / "src/receipts"
    library.parent.mkdir(parents=True)
    library.symlink_to(found(GO_SOURCES / "src/github.com/go-jose/go-jose"))
    package.mkdir()
    (package / "receipts.go").write_text(code)
    of_debian = {"GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    environment = {**os.environ, **of_debian, "GOPATH": f"{folder}:{GO_SOURCES}"}
    assert not subprocess.check_output(["gofmt", "-l", package])
    subprocess.run([command("go", "golang-go"), "vet", "receipts"], env=environment, check=True)
    build: list[str | Path] = ["go", "build", "-o", folder / "driver", DRIVERS / "driver.go"]
    subprocess.run(build, env=environment, check=True)
    return [str(folder / "driver")]


class BackEnd:
    """A process with the page's code and a store of used receipts."""

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands, self._answers = commands, answers

    def check(self, receipt: str, nonce: str = NONCE, number: str = NUMBER) -> dict[str, Any]:
        """Return `claims` and `isOf`, or the reason for which it is `refused`."""
        asked = {"receipt": receipt, "nonce": nonce, "number": number, "hashKey": HASH_KEY}
        self._commands.write(json.dumps(asked) + "\n")
        self._commands.flush()
        line = self._answers.readline()
        assert line, "the process has ended: see its standard error"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(language: str, issuer: str, folder: Path) -> Iterator[BackEnd]:
    """Run the page's code in a language, told the issuer's address."""
    program = {"js": node, "java": java, "go": go}[language](folder, snippet(language, issuer))
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield BackEnd(process.stdin, process.stdout)


@pytest.fixture(scope="module")
def back_end(language: str, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    issuer.fetched = 0
    folder = tmp_path_factory.mktemp(language)
    with required(), running(language, issuer.address, folder) as back_end:
        yield back_end


def test_a_receipt_logs_in_once_and_for_its_number(issuer: Issuer, back_end: BackEnd) -> None:
    good, another = issuer.genuine(), issuer.genuine()

    answer = back_end.check(good.receipt)

    assert answer["isOf"] is True
    for claim in ("jti", "phoneNumHash"):
        assert answer["claims"][claim] == part(good.receipt, 1)[claim]
    assert back_end.check(another.receipt, number="13912345679")["isOf"] is False
    for name, replay in REPLAYS.items():
        assert "refused" in back_end.check(replay(good)), name


def test_keys_that_cannot_be_fetched_are_told_from_a_refusal(
    language: str, issuer: Issuer, back_end: BackEnd, tmp_path: Path
) -> None:
    with running(language, "http://127.0.0.1:9", tmp_path) as cut_off:
        assert cut_off.check(issuer.genuine().receipt)["unavailable"] is True
    assert back_end.check(issuer.genuine().receipt, "another")["unavailable"] is False
    assert back_end.check(issuer.genuine().changed(header={"kid": "other"}))["unavailable"] is False


def test_every_attack_is_refused_and_uses_nothing_up(issuer: Issuer, back_end: BackEnd) -> None:
    good = issuer.genuine()
    forged = {name: back_end.check(attack(good)) for name, attack in ATTACKS.items()}
    for nonce in ("another", ""):  # of another login, whatever the receipt has
        for claims in ({}, {"nonce": ""}, {"nonce": None}):
            forged[f"{nonce} {claims}"] = back_end.check(good.changed(claims=claims), nonce)

    assert [name for name, answer in forged.items() if "refused" not in answer] == []
    assert "claims" in back_end.check(good.receipt)


def test_forgers_do_not_have_the_keys_fetched_for_each_forgery(issuer: Issuer, back_end: BackEnd) -> None:
    for kid in map(str, range(50)):
        back_end.check(issuer.genuine().changed(header={"kid": kid}))

    assert issuer.fetched <= 2
