"""Against another reading of the protocol: a platform whose cryptography is OpenSSL's gives verdicts."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from local.server import Server
from local.stack import Options
from tests.support.parts import command, required
from tests.support.phone import Ticket
from tests.support.stacks import phone_of, start

APP_ID = "300012345678"
APP_KEY = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
SIM = "13812345678"


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    """Run OpenSSL's command line; what it refuses it says nothing of on its standard output."""
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False).stdout


def new_key(path: Path, bits: int) -> tuple[str, str]:
    """Make a key in PEM, its public half beside it; return both in bare Base64, of PKCS#8 and SPKI."""
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", path)
    openssl("pkey", "-in", path, "-pubout", "-out", path.with_suffix(".pub"))
    private = openssl("pkcs8", "-topk8", "-nocrypt", "-in", path, "-outform", "DER")
    public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
    return base64.b64encode(private).decode(), base64.b64encode(public).decode()


class OtherPlatform:
    """A platform that knows nothing of this project."""

    def __init__(self, key: Path, customer: Path) -> None:
        self.key, self.customer = key, customer
        self.seen: list[dict[str, Any]] = []

    def judge(self, header: dict[str, str], body: dict[str, str]) -> str:
        signature = self.key.with_suffix(".signature")
        signature.write_bytes(base64.b64decode(body["sign"], validate=True))
        signed = header["appId"] + header["msgId"] + body["phoneNum"]
        signed += header["timestamp"] + body["token"] + header["version"]
        customer = self.customer.with_suffix(".pub")
        check = openssl("dgst", "-md5", "-verify", customer, "-signature", signature, given=signed.encode())
        if check != b"Verified OK\n":
            return "130018"
        block = base64.b64decode(body["phoneNum"], validate=True)
        plain = openssl("pkeyutl", "-decrypt", "-inkey", self.key, given=block).decode()
        if plain[11:] != APP_KEY + header["timestamp"]:
            return "130016"
        return "000" if plain[:11] == SIM else "001"

    def answer(self, request: Request) -> Response:
        message = json.loads(request.get_data())
        self.seen.append(message)
        # As the guide prints it, with a space after each key.
        header = {f"{name} ": message["header"][name] for name in ("msgId", "timestamp", "appId")}
        header["resultCode "] = self.judge(message["header"], message["body"])
        body = {"taskId ": "other", "resultDesc ": "", "expandParams ": ""}
        return Response(json.dumps({"header": header, "body": body}))


@pytest.mark.parametrize("bits", [1024, 2048])
def test_a_platform_written_by_somebody_else_gives_its_verdicts(bits: int, tmp_path: Path) -> None:
    with required():
        command("openssl", "openssl")
    private, _ = new_key(tmp_path / "customer.pem", bits)
    _, platform_public = new_key(tmp_path / "platform.pem", bits)
    secrets = tmp_path / "secrets.json"
    secrets.write_text(
        json.dumps({"privateKey": private, "platformPublicKey": platform_public, "appKey": APP_KEY})
    )
    platform = OtherPlatform(tmp_path / "platform.pem", tmp_path / "customer.pem")

    with Server(Request.application(platform.answer)) as server:
        url = f"{server.url}/NumberAbility/h5/verifyVmMobileApi.htm"
        with start(Options(platform_url=url, secrets=secrets, app_id=APP_ID)) as stack:
            phone = phone_of(stack)
            match = phone.verify(SIM, Ticket("VM_token1", "user%2Binformation"))
            mismatch = phone.verify("13812345679", Ticket("VMHTTPS2", "user%2Binformation"))

    assert (match.json["verified"], match.json["resultCode"]) == (True, "000")
    assert (mismatch.json["verified"], mismatch.json["resultCode"]) == (False, "001")
    assert [message["body"]["userInformation"] for message in platform.seen] == ["user%2Binformation"] * 2
    assert {message["header"]["appId"] for message in platform.seen} == {APP_ID}
