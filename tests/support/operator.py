"""An operator's desk for tests: keys, commands run in this process, and what they show."""

import base64
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final, cast

import pytest
from botocore.loaders import create_loader
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from tools.__main__ import main
from tools.key_text import bare_private, bare_public

VECTORS: Final = Path(__file__).parents[1] / "vectors"
_JDK: Final = json.loads((VECTORS / "jdk.json").read_text())["keys"]


def _jdk(bits: str) -> RSAPrivateKey:
    return cast("RSAPrivateKey", load_der_private_key(base64.b64decode(_JDK[bits]["privateKey"]), None))


OWN: Final = cast("RSAPrivateKey", load_pem_private_key((VECTORS / "rsa-2048.pem").read_bytes(), None))
SMALL: Final = generate_private_key(65537, 1024)  # noqa: S505 - the prescribed tool's size
BIG: Final = generate_private_key(65537, 2048)
OTHER, OTHER_SMALL = _jdk("2048"), _jdk("1024")
PRIVATE: Final = bare_private(OWN)
_PRIVATE: Final = tuple(map(bare_private, (OWN, SMALL, OTHER_SMALL, BIG, OTHER)))
PUBLIC: Final = bare_public(OWN.public_key())
PLATFORM_KEY: Final = bare_public(OTHER.public_key())
APP_KEY: Final = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
SIGNING_TEXT: Final = json.dumps({"privateKey": PRIVATE})
VERIFICATION_TEXT: Final = json.dumps({"appKey": APP_KEY, "platformPublicKey": PLATFORM_KEY})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return " ".join(f"{self.out} {self.err}".split())


Run = Callable[..., Shown]


_loader: Final = cache(create_loader)
"""Reads botocore's descriptions of the services once, not at each command."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command of the tools, with its standard input; no private key is ever shown."""
    monkeypatch.setattr("botocore.session.create_loader", _loader)

    def run(*arguments: object, given: str = "", **clock: Any) -> Shown:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(given.encode())))
        code = main([str(each) for each in arguments], **clock)
        out, err = capsys.readouterr()
        assert not re.search("[A-Za-z0-9+/]{740,}", out + err)  # a public key of 4096 bits has 736
        assert not [private for private in _PRIVATE if private[:64] in out + err]
        return Shown(code, out, err)

    return run
