"""The JDK as the other side of the cryptography: one Java process that answers line by line."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from local import ROOT
from tests.support.parts import PARTS, java

_PROGRAM: Final = PARTS / "java" / "Interop.java"
VECTORS: Final = ROOT / "tests" / "vectors" / "jdk.json"
KEY_BITS: Final = (1024, 2048)
MESSAGES: Final = (
    "",
    "0000010123456789ABCDEFGHIJKLMNOPQRSTUV20261123080910111VUTSRQPONMLKJIHGFEDCBA98765432101.2",
    "3000000000000.8345678901234567202611230809101118a7b6c5d-0f1e-4d2c-8b3a-9c8d7e6f5a4b1.0",
    "一个不是 preSign 的文本",
)


class RefusedError(Exception):
    """The JDK threw; the text is the exception's name."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair as the JDK encodes it: bare Base64 of PKCS#8 and of SubjectPublicKeyInfo."""

    private_key: str
    public_key: str


class Jdk:
    """The running program."""

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands = commands
        self._answers = answers

    def generate(self, bits: int) -> Pair:
        """Make a key pair."""
        return Pair(*self._ask("generate", str(bits)).split())

    def sign(self, algorithm: str, private_key: str, message: str) -> str:
        """Sign a text's UTF-8 bytes; the signature in Base64."""
        return self._ask("sign", algorithm, private_key, _base64(message))

    def verifies(self, algorithm: str, public_key: str, message: str, signature: str) -> bool:
        """Check a signature in Base64."""
        return self._ask("verify", algorithm, public_key, _base64(message), signature) == "true"

    def encrypt(self, public_key: str, plaintext: str) -> str:
        """Encrypt a text's UTF-8 bytes; the block in Base64."""
        return self._ask("encrypt", public_key, _base64(plaintext))

    def decrypt(self, private_key: str, ciphertext: str) -> str:
        """Decrypt a block in Base64."""
        return base64.b64decode(self._ask("decrypt", private_key, ciphertext)).decode()

    def _ask(self, *words: str) -> str:
        self._commands.write(" ".join(words) + "\n")
        self._commands.flush()
        verdict, _, result = self._answers.readline().rstrip("\n").partition(" ")
        if verdict != "ok":
            raise RefusedError(result)
        return result


@contextmanager
def running_jdk() -> Iterator[Jdk]:
    """Run the program.

    Raises
    ------
    PartMissingError
        There is no JDK.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen([java(), str(_PROGRAM)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Jdk(process.stdin, process.stdout)


def plaintexts(bits: int) -> tuple[str, ...]:
    """Return texts from none to the most that one block of a key's size holds, its size in bytes less 11."""
    most = bits // 8 - 11
    number_and_key = "139123456780123456789ABCDEF0123456789ABCDEF20261123080910111"
    return "", "1", number_and_key, "9" * most


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
