"""The built bundle, and a cloud on loopback into which SAM CLI deploys it: MiniStack, which others wrote."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
import urllib3

from benchmarks.emulator import Parts, find_parts
from local import ROOT
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets
from local.server import Server, listen
from local.simulator import Customer, Simulator
from tests.support.parts import required
from tests.support.phone import Phone

SAM: Final = ROOT / ".venv-sam" / "bin" / "sam"
MINISTACK: Final = ROOT / ".venv-cloud" / "bin" / "python"
BUILD: Final = ROOT / ".aws-sam" / "build"
ARCHITECTURE: Final = os.environ.get("ARCHITECTURE") or "x86_64"
"""What the bundle was built for, as `make build` takes it."""

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
PAGE: Final = "https://www.abc.com"
APP_ID: Final = "000340"
VERIFY_PATH: Final = "/NumberAbility/h5/verifyVmMobileApi.htm"


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The folder that `sam build` filled."""
    assert (BUILD / "template.yaml").exists(), "there is no bundle; `make build` makes it"
    return BUILD


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Lambda's runtime on this machine."""
    with required():
        return find_parts(ROOT)


def outside_aws() -> dict[str, str]:
    """Return this process's variables but those of AWS's clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@dataclass(frozen=True)
class Cloud:
    """AWS as MiniStack plays it, with an account in which an operator has stored the secrets.

    `address` is where every service answers, and the deployed API where the Host header names it; `platform`
    is the simulator's, which the deployed functions call; `arns` are the secrets', by the parameter that
    takes each; `folder` is for logs.
    """

    address: str
    platform: str
    arns: dict[str, str]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables for commands: they find this cloud, and nobody's account."""
        files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "operator")
        here = {"AWS_ENDPOINT_URL": self.address, "AWS_DEFAULT_REGION": REGION}
        off = {"AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0"}
        return {**outside_aws(), **files, **keys, **here, **off}

    def client(self, service: str) -> Any:
        session = boto3.Session("operator", "operator", region_name=REGION)
        return session.client(service, endpoint_url=self.address)  # type: ignore[call-overload]  # any service

    @property
    def host(self) -> str:
        """The name of the one HTTP API that there is."""
        (api,) = self.client("apigatewayv2").get_apis()["Items"]
        return f"{api['ApiId']}.execute-api.localhost:{self.address.rpartition(':')[2]}"

    def phone(self, sim: str) -> Phone:
        addresses = {"api": self.address, "host": self.host, "platform": self.platform}
        return Phone(**addresses, page=PAGE, app_id=APP_ID, sim=sim)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account in MiniStack, the platform simulator, and the way to the API."""
    assert MINISTACK.exists(), "MiniStack is missing; `make test-parts` brings it"
    folder, keys = tmp_path_factory.mktemp("cloud"), CustomerKeys.fresh()
    customer = Customer(APP_ID, keys.app_key, keys.public_key, frozenset({PAGE}), frozenset({f"{PAGE}/"}))
    simulator = Simulator(customer)
    with ministack(folder) as address, Server(simulator) as platform:
        cloud = Cloud(address, platform.url, {}, folder)
        verification = {"appKey": keys.app_key, "platformPublicKey": simulator.public_key}
        secrets = {
            "SigningSecretArn": json.dumps({"privateKey": keys.private_key}),
            "VerificationSecretArn": json.dumps(verification),
            "ReceiptSecretArn": ReceiptSecrets.fresh(ReceiptNumber.MASKED).text,
        }
        client = cloud.client("secretsmanager")
        for name, text in secrets.items():
            made = client.create_secret(Name=f"number-verification/{name}", SecretString=text)
            cloud.arns[name] = made["ARN"]
        yield cloud


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """Run MiniStack on a free port, its functions as processes of this machine; yields its address."""
    with listen(0) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {
        **outside_aws(),
        "AWS_ENDPOINT_URL": address,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command: list[str | Path] = [MINISTACK, "-m", "ministack"]
    with (
        (folder / "ministack.log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder) as process,
    ):
        try:
            # Asked again every tenth of a second or more, until it listens.
            retries = urllib3.Retry(30, backoff_factor=0.1, backoff_max=1)
            health = urllib3.request("GET", f"{address}/_ministack/health", retries=retries, timeout=10.0)
            assert health.status == 200
            yield address
        finally:
            process.terminate()


def rewritten(bundle: Path, cloud: Cloud) -> Path:
    """Write the built template with the simulator in the place of the platform's lines."""
    text = (bundle / "template.yaml").read_text()
    text, lines = re.subn(rf"https?://[0-9a-z.]+{VERIFY_PATH}", cloud.platform + VERIFY_PATH, text)
    assert lines == 2
    path = bundle / "on-loopback.yaml"
    path.write_text(text)
    return path
