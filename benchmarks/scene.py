"""What is measured and where: the bundle and the naive handlers as Lambda would have them, keys, events."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.emulator import find_parts
from benchmarks.loopback import Loopback
from local import ROOT
from local.aws import AwsCredentials
from local.keys import CustomerKeys

BUILD: Final = ROOT / ".aws-sam" / "build"
NAIVE: Final = ROOT / "benchmarks" / "naive"
KEPT: Final = ROOT / ".local" / "bench"
"""Where the naive handlers' layer is kept between runs."""

APP_ID: Final = "000001"


class BenchmarkError(Exception):
    """A side did not do its work, or a part is missing: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a handler, its code and its layers."""

    name: str
    module: str
    """Where its function `handler` is."""
    task: Path
    opt: Path
    """Folders that stand where Lambda has /var/task and /opt."""
    new_event: Callable[[], dict[str, Any]]
    """Makes an event that it has not seen."""


class Scene:
    """Everything that the measurements need, prepared in an empty folder; AWS and the platform answer."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder, CustomerKeys.fresh()
        verification = {"appKey": self.keys.app_key, "platformPublicKey": CustomerKeys.fresh().public_key}
        stand_in = Loopback(
            {
                "signing": json.dumps({"privateKey": self.keys.private_key}),
                "verification": json.dumps(verification),
                "pepper": secrets.token_hex(32),
            }
        )
        self.aws = stand_in.address
        self.stage = folder / "stage"
        self.stage.mkdir()
        self.parts = find_parts(ROOT)
        self._lambdas_python = str(self.parts.python / "bin" / "python3.13")
        # Without what somebody has installed into it.
        _run(self._lambdas_python, "-m", "venv", "--without-pip", str(folder / "python"))
        self.python = str(folder / "python" / "bin" / "python3.13")
        self._numbers = count(13900000000)
        opt, naive = folder / "opt", self._naive_layer()
        for layer in ("DependenciesLayer", "CryptoLayer"):
            shutil.copytree(BUILD / layer, opt, dirs_exist_ok=True)
        sign, submit = self.new_presign, self.new_submission
        self.presign = Side("presign", "presign.app", BUILD / "PreSignFunction", opt, sign)
        self.verify = Side("verify", "verify.app", BUILD / "VerifyFunction", opt, submit)
        self.naive_presign = Side("naive presign", "handler", self._compiled("presign"), naive, sign)
        self.naive_verify = Side("naive verify", "handler", self._compiled("verify"), naive, submit)

    def variables(self) -> dict[str, str]:
        """Return a function's environment, as the template and Lambda make it."""
        return {
            **AwsCredentials().variables(),
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_REGION": "cn-north-1",
            "AWS_DEFAULT_REGION": "cn-north-1",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "POWERTOOLS_SERVICE_NAME": "number-verification",
            "APP_ID": APP_ID,
            "ALLOWED_ORIGINS": _sample("presign-good")["headers"]["origin"],
            "SIGNING_SECRET_ID": "signing",
            "VERIFICATION_SECRET_ID": "verification",
            "PEPPER_SECRET_ID": "pepper",
            "TABLE_NAME": "attempts",
            "PLATFORM_URL": f"{self.aws}/verifyVmMobileApi.htm",
            "DAILY_ATTEMPT_LIMIT": "1000",
        }

    def outside(self, side: Side) -> dict[str, str]:
        """Return the environment for running a side's handler without the emulator, read-only there too."""
        return {
            "PATH": os.environ["PATH"],
            **self.variables(),
            "PYTHONPATH": f"{side.task}:{side.opt / 'python'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def new_presign(self) -> dict[str, Any]:
        """Make the event of a page that has a fresh preSign."""
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
        message_id, phone = ("".join(secrets.choice(alphabet) for _ in range(32)) for _ in range(2))
        moment = f"{datetime.now(UTC) + timedelta(hours=8):%Y%m%d%H%M%S%f}"[:17]
        body = {"preSign": f"{APP_ID}{message_id}{moment}{phone}1.2"}
        return {**_sample("presign-good"), "body": json.dumps(body)}

    def new_submission(self) -> dict[str, Any]:
        """Make the event of a page that has a fresh token, for a number of its own."""
        number, token = str(next(self._numbers)), f"VM_{secrets.token_hex(16)}"
        body = {"phoneNum": number, "token": token, "userInformation": "a%2Bb%3D%3D" * 8}
        return {**_sample("verify-match"), "body": json.dumps(body)}

    def _naive_layer(self) -> Path:
        """Install what the naive handlers import, in this environment's versions; kept until these change."""
        pins = [f"{name}=={version(name)}" for name in ("boto3", "cryptography", "urllib3")]
        layer = KEPT / "-".join(pins)
        if not layer.exists():
            install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
            _run(self._lambdas_python, *install, "--target", str(layer / "python"), *pins)
            self._compile(layer)
        return layer

    def _compiled(self, name: str) -> Path:
        task = self.folder / f"naive-{name}"
        shutil.copytree(NAIVE / name, task, ignore=shutil.ignore_patterns("__pycache__"))
        self._compile(task)
        return task

    def _compile(self, folder: Path) -> None:
        _run(self.python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - Lambda's Python


def _sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event
