"""Against other readings of the protocol: OpenSSL checks signatures, a platform on OpenSSL gives verdicts."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.stack import Options, Stack
from tests.support import openssl
from tests.support.phone import Phone, Ticket, new_pre_sign
from tests.support.stacks import phone_of, start

pytestmark = pytest.mark.usefixtures("openssl_command")

APP_KEY = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
SIM = "13812345678"


def test_openssl_accepts_a_signature_over_a_presign(stack: Stack, tmp_path: Path) -> None:
    phone = phone_of(stack)
    pre_sign = new_pre_sign(phone.app_id)[3]

    sign = phone.presign(pre_sign).json["sign"]

    assert openssl.verifies(tmp_path, stack.customer_public_key, pre_sign, sign)
    assert not openssl.verifies(tmp_path, stack.customer_public_key, pre_sign + "x", sign)


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
        signed = "".join(
            (
                header["appId"],
                header["msgId"],
                body["phoneNum"],
                header["timestamp"],
                body["token"],
                header["version"],
            )
        )
        if not openssl.verifies(self.folder, self.customer_public_key, signed, body["sign"]):
            return "130018"
        plain = openssl.decrypt(self.key, body["phoneNum"])
        if plain[11:] != APP_KEY + header["timestamp"]:
            return "130016"
        return "000" if plain[:11] == SIM else "001"

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        code = self.judge(message)
        header = message["header"]
        # As the guide prints it, with a space after each key.
        return {
            "header": {
                "msgId ": header["msgId"],
                "timestamp ": header["timestamp"],
                "appId ": header["appId"],
                "resultCode ": code,
            },
            "body": {"taskId ": "other", "resultDesc ": "", "expandParams ": ""},
        }


@pytest.fixture(params=[1024, 2048])
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[OtherPlatform, Phone]]:
    customer = tmp_path / "customer.pem"
    openssl.new_private_key(customer, request.param)
    platform = OtherPlatform(tmp_path, openssl.public_half(customer))
    openssl.new_private_key(platform.key, request.param)
    secrets = tmp_path / "secrets.json"
    secrets.write_text(
        json.dumps(
            {
                "privateKey": openssl.bare(customer),
                "platformPublicKey": openssl.public_half(platform.key),
                "appKey": APP_KEY,
            }
        )
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps(platform.answer(message)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/NumberAbility/h5/verifyVmMobileApi.htm"
    with start(Options(platform_url=url, secrets=secrets, app_id="300012345678")) as stack:
        yield platform, phone_of(stack)
    server.shutdown()
    server.server_close()


def test_a_platform_written_by_somebody_else_gives_its_verdicts(other: tuple[OtherPlatform, Phone]) -> None:
    platform, phone = other

    match = phone.verify(SIM, Ticket("VM_token1", "user%2Binformation"))
    mismatch = phone.verify("13812345679", Ticket("VMHTTPS2", "user%2Binformation"))

    assert (match.json["verified"], match.json["resultCode"]) == (True, "000")
    assert (mismatch.json["verified"], mismatch.json["resultCode"]) == (False, "001")
    assert [message["body"]["userInformation"] for message in platform.seen] == ["user%2Binformation"] * 2
    assert {message["header"]["appId"] for message in platform.seen} == {"300012345678"}
