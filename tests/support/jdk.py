"""The JDK as the other side of the cryptography: what one made once, and a Java process that answers."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from local import ROOT
from tests.support.parts import PARTS, java

VECTORS: Final = ROOT / "tests" / "vectors" / "jdk.json"
KEY_BITS: Final = (1024, 2048)


class Jdk:
    """The running program: texts are its UTF-8 bytes, keys and all that it makes are in Base64."""

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands = commands
        self._answers = answers

    def sign(self, algorithm: str, private_key: str, message: str) -> str:
        return self._ask("sign", algorithm, private_key, _base64(message))

    def verifies(self, algorithm: str, public_key: str, message: str, signature: str) -> bool:
        return self._ask("verify", algorithm, public_key, _base64(message), signature) == "true"

    def encrypt(self, public_key: str, plaintext: str) -> str:
        return self._ask("encrypt", public_key, _base64(plaintext))

    def decrypt(self, private_key: str, ciphertext: str) -> str:
        return base64.b64decode(self._ask("decrypt", private_key, ciphertext)).decode()

    def _ask(self, *words: str) -> str:
        self._commands.write(" ".join(words) + "\n")
        self._commands.flush()
        line = self._answers.readline()
        assert line, "the JDK has refused: see its standard error"
        return line.rstrip("\n")


@contextmanager
def running_jdk() -> Iterator[Jdk]:
    """Run the program, or raise PartMissingError where there is no JDK."""
    pipe, program = subprocess.PIPE, PARTS / "java" / "Interop.java"
    with subprocess.Popen([java(), str(program)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Jdk(process.stdin, process.stdout)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
