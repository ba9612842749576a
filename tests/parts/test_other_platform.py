"""Against another reading of the protocol: a platform whose cryptography is OpenSSL's gives verdicts."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Request, Response

from local.stack import Options
from tests.support import openssl
from tests.support.parts import command, required
from tests.support.phone import Phone, Ticket
from tests.support.server import serving
from tests.support.stacks import phone_of, start

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

APP_KEY = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
SIM = "13812345678"


@dataclass
class OtherPlatform:
    """A platform that knows nothing of this project: its cryptography is OpenSSL's."""

    folder: Path
    customer_public_key: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.folder / "platform.pem"

    def judge(self, message: dict[str, Any]) -> str:
        self.seen.append(message)
        header, body = message["header"], message["body"]
        signed = header["appId"] + header["msgId"] + body["phoneNum"]
        signed += header["timestamp"] + body["token"] + header["version"]
        if not openssl.verifies(self.folder, self.customer_public_key, signed, body["sign"]):
            return "130018"
        plain = openssl.decrypt(self.key, body["phoneNum"])
        if plain[11:] != APP_KEY + header["timestamp"]:
            return "130016"
        return "000" if plain[:11] == SIM else "001"

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        message = json.loads(Request(environ).get_data())
        # As the guide prints it, with a space after each key.
        header = {f"{name} ": message["header"][name] for name in ("msgId", "timestamp", "appId")}
        body = {"taskId ": "other", "resultDesc ": "", "expandParams ": ""}
        answer = {"header": {**header, "resultCode ": self.judge(message)}, "body": body}
        return Response(json.dumps(answer))(environ, start_response)


@pytest.fixture(params=[1024, 2048])
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[OtherPlatform, Phone]]:
    with required():
        command("openssl", "openssl")
    customer = tmp_path / "customer.pem"
    openssl.new_private_key(customer, request.param)
    platform = OtherPlatform(tmp_path, openssl.public_half(customer))
    openssl.new_private_key(platform.key, request.param)
    keys = {"privateKey": openssl.bare(customer), "platformPublicKey": openssl.public_half(platform.key)}
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({**keys, "appKey": APP_KEY}))
    with serving(platform) as address:
        url = f"{address}/NumberAbility/h5/verifyVmMobileApi.htm"
        with start(Options(platform_url=url, secrets=secrets, app_id="300012345678")) as stack:
            yield platform, phone_of(stack)


def test_a_platform_written_by_somebody_else_gives_its_verdicts(other: tuple[OtherPlatform, Phone]) -> None:
    platform, phone = other

    match = phone.verify(SIM, Ticket("VM_token1", "user%2Binformation"))
    mismatch = phone.verify("13812345679", Ticket("VMHTTPS2", "user%2Binformation"))

    assert (match.json["verified"], match.json["resultCode"]) == (True, "000")
    assert (mismatch.json["verified"], mismatch.json["resultCode"]) == (False, "001")
    assert [message["body"]["userInformation"] for message in platform.seen] == ["user%2Binformation"] * 2
    assert {message["header"]["appId"] for message in platform.seen} == {"300012345678"}
