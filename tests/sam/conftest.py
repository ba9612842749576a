"""The built bundle, and a cloud on loopback into which SAM CLI deploys it: MiniStack, which others wrote."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
import urllib3
from werkzeug import Request, Response

from benchmarks.emulator import Parts, find_parts
from local import ROOT
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets
from local.server import Server
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
START_SECONDS: Final = 90.0
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


@pytest.fixture(scope="session")
def python313() -> str:
    """Lambda's Python, as the layers' makefiles find it."""
    python = os.environ.get("LAMBDA_PYTHON", "python3.13")
    assert shutil.which(python), "python3.13 is not on PATH"
    return python


@dataclass(frozen=True)
class Cloud:
    """AWS as MiniStack plays it, with an account in which an operator has stored the secrets.

    Attributes
    ----------
    address
        Where every service answers.
    platform
        The platform simulator's address: what the deployed functions call in the place of the platform.
    front
        An address that answers as the deployed API does: it names the API in the Host header.
    arns
        The operator's secrets, by the parameter that takes each.
    folder
        For logs.
    """

    address: str
    platform: str
    front: str
    arns: Mapping[str, str]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables for commands: they find this cloud, and nobody's account."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **own,
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "operator",
            "AWS_SECRET_ACCESS_KEY": "operator",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """Make a client of a service."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            REGION,
            endpoint_url=self.address,
            aws_access_key_id="operator",
            aws_secret_access_key="operator",
        )

    def phone(self, sim: str) -> Phone:
        """Open the page on a phone."""
        return Phone(api=self.front, page=PAGE, platform=self.platform, app_id=APP_ID, sim=sim)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account in MiniStack, the platform simulator, and the way to the API."""
    assert MINISTACK.exists(), "MiniStack is missing; `make test-parts` brings it"
    folder, keys = tmp_path_factory.mktemp("cloud"), CustomerKeys.fresh()
    customer = Customer(APP_ID, keys.app_key, keys.public_key, frozenset({PAGE}), frozenset({f"{PAGE}/"}))
    simulator = Simulator(customer)
    with ExitStack() as cleanup:
        address = cleanup.enter_context(ministack(folder))
        platform = cleanup.enter_context(running(Server(simulator)))
        front = cleanup.enter_context(running(Server(_front(address))))
        cloud = Cloud(address, platform, front, {}, folder)
        secrets = {
            "SigningSecretArn": json.dumps({"privateKey": keys.private_key}),
            "VerificationSecretArn": json.dumps(
                {"appKey": keys.app_key, "platformPublicKey": simulator.public_key}
            ),
            "ReceiptSecretArn": ReceiptSecrets.fresh(ReceiptNumber.MASKED).text,
        }
        client = cloud.client("secretsmanager")
        arns = {
            name: client.create_secret(Name=f"number-verification/{name}", SecretString=text)["ARN"]
            for name, text in secrets.items()
        }
        yield Cloud(address, platform, front, arns, folder)


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """Run MiniStack on a free port, its functions as processes of this machine; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": address,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    with (folder / "ministack.log").open("ab") as log:
        process = subprocess.Popen(
            [MINISTACK, "-m", "ministack"], stdout=log, stderr=log, env=environment, cwd=folder
        )
        try:
            wait_until(lambda: urllib3.request("GET", f"{address}/_ministack/health").status == 200, process)
            yield address
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def wait_until(answers: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Poll until something answers; fail at once if its process ends, or at the deadline."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"it ended with status {process.returncode}"
        assert time.monotonic() < deadline, "it does not answer"
        try:
            if answers():
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.2)  # between two looks


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Yield the address of a server that answers."""
    with server:
        yield server.url


def _front(address: str) -> Callable[..., Any]:
    """Make the WSGI application that passes requests to the one HTTP API that there is."""
    http = urllib3.PoolManager(maxsize=8, retries=False)
    port = address.rpartition(":")[2]

    @Request.application
    def front(request: Request) -> Response:
        found = http.request("GET", f"{address}/v2/apis").json()["items"]
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        (api,) = (each["apiId"] for each in found)
        answer = http.request(
            request.method,
            address + request.full_path.rstrip("?"),
            body=request.get_data(),
            headers={**headers, "Host": f"{api}.execute-api.localhost:{port}"},
        )
        kept = [pair for pair in answer.headers.items() if pair[0].lower() not in {"content-length", "date"}]
        return Response(answer.data, answer.status, kept)

    return front


def rewritten(bundle: Path, cloud: Cloud) -> Path:
    """Write the built template with the simulator in the platform's place and the front in the API's.

    Nothing that is deployed from it can reach the platform's own lines.
    """
    text = (bundle / "template.yaml").read_text()
    text, lines = re.subn(rf"https?://[0-9a-z.]+{VERIFY_PATH}", cloud.platform + VERIFY_PATH, text)
    assert lines == 2
    here = "https://${NumberVerificationApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    assert here in text
    path = bundle / "on-loopback.yaml"
    path.write_text(text.replace(here, cloud.front))
    return path
