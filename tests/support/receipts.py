"""Receipts as the product signs them, and the back end of docs/receipts.md that checks them."""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug import Request, Response

from cmpassport.receipt_keys import ReceiptKeys
from local import ROOT
from tests.support.receipt_secrets import HASH_KEY, LONG_AGO, new_key, part, secret
from tests.support.server import serving
from verify.outcome import Outcome
from verify.receipt import Receipts, parse_keys
from verify.settings import NumberForm, ReceiptSettings

Members = Mapping[str, Any] | None
AUDIENCE: Final = "https://www.example.com"
NUMBER: Final = "13912345678"
NONCE: Final = "k3s9_Q~Jd.7!x"
PAGE: Final = ROOT / "docs" / "receipts.md"


@dataclass(frozen=True, slots=True)
class Genuine:
    """A good receipt, the key that signed it, and the nonce that it was asked for with."""

    receipt: str
    key: EllipticCurvePrivateKey = field(repr=False)
    nonce: str = NONCE

    def changed(
        self, header: Members = None, claims: Members = None, key: EllipticCurvePrivateKey | None = None
    ) -> str:
        """Return it with other members, signed anew by the same key or another; None leaves a member out."""

        def text(index: int, new: Members) -> bytes:
            members = {**part(self.receipt, index), **(new or {})}
            return json.dumps({name: each for name, each in members.items() if each is not None}).encode()

        return signed(text(0, header), text(1, claims), key or self.key)


def signed(header: bytes, payload: bytes, key: EllipticCurvePrivateKey) -> str:
    """Sign any two texts with ES256."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    r, s = decode_dss_signature(key.sign(signing_input.encode(), ECDSA(SHA256())))
    return f"{signing_input}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def b64(data: bytes) -> str:
    """Encode in Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(slots=True)
class Issuer:
    """The product's receipts, and a server that publishes its keys."""

    address: str
    key: EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)
    fetched: int = 0

    def keys(self, at: datetime) -> ReceiptKeys:
        """Return its keys as the product reads them at a time."""
        return parse_keys(secret((self.key, LONG_AGO), hashKey=HASH_KEY), NumberForm.HASH, at)

    def genuine(self) -> Genuine:
        at = datetime.fromtimestamp(int(time.time()), UTC)
        settings = ReceiptSettings("receipts", NumberForm.HASH, 120, self.address)
        receipts = Receipts(settings, "300000000000", lambda: self.keys(at), lambda: at)
        login = receipts.prepare(NUMBER, domain_name="", audience=AUDIENCE, nonce=NONCE)
        verdict = Outcome(None, "000", "", str(uuid.uuid4()), "1234567890", 4, int(at.timestamp()))
        receipt = receipts.issue(verdict, login)
        assert receipt is not None
        return Genuine(receipt, self.key)


@contextmanager
def publishing_issuer() -> Iterator[Issuer]:
    """Run an issuer whose keys are fetched on loopback."""
    issuer = Issuer("")

    @Request.application
    def keys(request: Request) -> Response:
        if request.path != "/.well-known/jwks.json":
            return Response(status=404)
        issuer.fetched += 1
        return Response(json.dumps(issuer.keys(LONG_AGO).public_set()), mimetype="application/jwk-set+json")

    with serving(keys) as issuer.address:
        yield issuer


def snippet(language: str, issuer: str, audience: str = AUDIENCE) -> str:
    """Take a language's code out of the page, with the two addresses replaced as the page asks."""
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    assert found is not None, f"{PAGE} has no code in {language}"
    return found[1].replace("https://api.example.com", issuer).replace("https://www.abc.com", audience)
