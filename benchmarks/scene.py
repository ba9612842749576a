"""What is measured and where: the bundle and the naive handlers as Lambda would have them, keys, events."""

import base64
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchmarks.certificate import write_certificate
from benchmarks.emulator import Parts, find_parts
from local import ROOT

BUILD: Final = ROOT / ".aws-sam" / "build"
NAIVE: Final = ROOT / "benchmarks" / "naive"
TRUSTED: Final = "trusted.pem"
KEPT: Final = ROOT / ".local" / "bench"
"""Where the naive handlers' layer is kept between runs."""
APP_ID: Final = "300000000000"
ORIGIN: Final = "https://www.example.com"


class BenchmarkError(Exception):
    """A side did not do its work, or a part is missing: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a handler, its code and its layers.

    Attributes
    ----------
    name
        For the report.
    handler
        `package.module.function`.
    task, opt
        Folders that stand where Lambda has /var/task and /opt.
    new_event
        Makes an event that it has not seen.
    settings
        Variables of its own.
    """

    name: str
    handler: str
    task: Path
    opt: Path
    new_event: Callable[[], dict[str, Any]]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The module with the handler."""
        return self.handler.rpartition(".")[0]

    @property
    def import_path(self) -> str:
        """PYTHONPATH for running it without the emulator."""
        return f"{self.task}:{self.opt / 'python'}"


class Scene:
    """Everything that the measurements need, prepared in a folder.

    Parameters
    ----------
    folder
        An empty one.
    aws, aws_tls, platform
        Addresses of the stand-ins.
    """

    def __init__(self, folder: Path, aws: str, aws_tls: str, platform: str) -> None:
        self.folder = folder
        self.stage = folder / "stage"
        self.stage.mkdir()
        self.parts: Parts = find_parts(ROOT)
        self.python = self._bare_python()
        self.aws = aws
        self.aws_tls = aws_tls
        self.platform = platform
        self.some_key = _pem(rsa.generate_private_key(65537, 2048))
        self._numbers = count(13900000000)
        layers = [BUILD / "DependenciesLayer", BUILD / "CryptoLayer"]
        ours = self._merged("opt", *layers)
        naive = self._naive_layer()
        self.presign = Side(
            "presign", "presign.app.handler", BUILD / "PreSignFunction", ours, self.new_presign
        )
        self.verify = Side(
            "verify", "verify.app.handler", BUILD / "VerifyFunction", ours, self.new_submission
        )
        receipts = {"RECEIPT_SECRET_ID": "receipts"}
        self.verify_with_receipts = replace(self.verify, name="verify with receipts", settings=receipts)
        self.naive_presign = Side(
            "naive presign", "handler.handler", self._compiled("presign"), naive, self.new_presign
        )
        self.naive_verify = Side(
            "naive verify", "handler.handler", self._compiled("verify"), naive, self.new_submission
        )

    def over_tls(self, side: Side) -> Side:
        """Return the side with AWS behind TLS, which trusts this machine's authorities and the stand-in's."""
        shutil.copy(self.folder / TRUSTED, side.opt)
        trusted = f"/opt/{TRUSTED}"
        # The functions' own way is the system's store; botocore's is a file of its own, or this one.
        file = "SSL_CERT_FILE" if side is self.presign else "AWS_CA_BUNDLE"
        settings = {**side.settings, "AWS_ENDPOINT_URL": self.aws_tls, file: trusted}
        return replace(side, name=f"{side.name}, TLS", settings=settings)

    def variables(self, **more: str) -> dict[str, str]:
        """Return a function's environment, as the template and Lambda make it."""
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_REGION": "cn-north-1",
            "AWS_DEFAULT_REGION": "cn-north-1",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "POWERTOOLS_SERVICE_NAME": "number-verification",
            "POWERTOOLS_METRICS_NAMESPACE": "NumberVerification",
            "APP_ID": APP_ID,
            "ALLOWED_ORIGINS": ORIGIN,
            "SIGNING_SECRET_ID": "signing",
            "VERIFICATION_SECRET_ID": "verification",
            "PEPPER_SECRET_ID": "pepper",
            "TABLE_NAME": "attempts",
            "PLATFORM_URL": self.platform,
            "DAILY_ATTEMPT_LIMIT": "1000",
            **more,
        }

    def outside(self, side: Side) -> dict[str, str]:
        """Return the environment for running a side's handler without the emulator, read-only there too."""
        return {
            "PATH": os.environ["PATH"],
            **self.variables(**side.settings),
            "PYTHONPATH": side.import_path,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def new_presign(self) -> dict[str, Any]:
        """Make the event of a page that has a fresh preSign."""
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
        message_id, phone = ("".join(secrets.choice(alphabet) for _ in range(32)) for _ in range(2))
        moment = f"{datetime.now(UTC) + timedelta(hours=8):%Y%m%d%H%M%S%f}"[:17]
        return _event("presign", {"preSign": f"{APP_ID}{message_id}{moment}{phone}1.2"})

    def new_submission(self) -> dict[str, Any]:
        """Make the event of a page that has a fresh token, for a number of its own."""
        body = {
            "phoneNum": str(next(self._numbers)),
            "token": f"VM_{secrets.token_hex(16)}",
            "userInformation": "a%2Bb%3D%3D" * 8,
        }
        return _event("verify", body)

    def _merged(self, name: str, *layers: Path) -> Path:
        opt = self.folder / name
        for layer in layers:
            shutil.copytree(layer, opt, dirs_exist_ok=True)
        return opt

    def _bare_python(self) -> str:
        """Make an environment of Lambda's Python without what somebody has installed into it."""
        python = self.folder / "python"
        command = [str(self.parts.python / "bin" / "python3.13"), "-m", "venv", "--without-pip", str(python)]
        subprocess.run(command, check=True)  # noqa: S603 - Lambda's Python
        return str(python / "bin" / "python3.13")

    def _naive_layer(self) -> Path:
        """Install what the naive handlers import, in this environment's versions; kept until these change."""
        pins = [f"{name}=={version(name)}" for name in ("boto3", "cryptography", "urllib3")]
        layer = KEPT / "-".join(pins)
        packages = layer / "python"
        if not layer.exists():
            install = [
                "pip",
                "install",
                "--quiet",
                "--only-binary",
                ":all:",
                "--target",
                str(packages),
                *pins,
            ]
            python = str(self.parts.python / "bin" / "python3.13")
            subprocess.run([python, "-m", *install], check=True)  # noqa: S603 - Lambda's Python
            self._compile(packages)
        return layer

    def _compiled(self, name: str) -> Path:
        task = self.folder / f"naive-{name}"
        shutil.copytree(NAIVE / name, task, ignore=shutil.ignore_patterns("__pycache__"))
        self._compile(task)
        return task

    def _compile(self, folder: Path) -> None:
        command = [
            self.python,
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            str(folder),
        ]
        subprocess.run(command, check=True)  # noqa: S603 - Lambda's Python


def _event(route: str, body: Mapping[str, str]) -> dict[str, Any]:
    """Make a payload 2.0 event, as API Gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": f"POST /{route}",
        "rawPath": f"/{route}",
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "host": "api.example.com",
            "origin": ORIGIN,
            "user-agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile",
            "x-forwarded-for": "203.0.113.7",
        },
        "requestContext": {
            "requestId": secrets.token_hex(8),
            "routeKey": f"POST /{route}",
            "domainName": "api.example.com",
            "http": {"method": "POST", "path": f"/{route}", "sourceIp": "203.0.113.7"},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _new_keys() -> dict[str, str]:
    signing, platform = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    private = signing.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = platform.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    receipts = ec.generate_private_key(ec.SECP256R1())
    verification = {"appKey": "0" * 32, "platformPublicKey": base64.b64encode(public).decode()}
    return {
        "signing": json.dumps({"privateKey": base64.b64encode(private).decode()}),
        "verification": json.dumps(verification),
        "pepper": secrets.token_hex(32),
        "receipts": json.dumps(
            {
                "keys": [{"privateKey": _pem(receipts), "signFrom": "2026-01-01T00:00:00Z"}],
                "hashKey": secrets.token_hex(32),
            }
        ),
    }


@contextmanager
def prepared(folder: Path) -> Iterator[Scene]:
    """Prepare the scene in a folder, with the stand-ins running for as long as the block lasts."""
    keys, certificate = folder / "keys.json", folder / "certificate.pem"
    keys.write_text(json.dumps(_new_keys()))
    write_certificate(certificate)
    authorities = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    (folder / TRUSTED).write_bytes(authorities.read_bytes() + certificate.read_bytes())
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
    plain, tls = (f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
    descriptors = [listener.fileno() for listener in listeners]
    files = (str(keys), str(certificate))
    command = [sys.executable, "-m", "benchmarks.loopback", *map(str, descriptors), *files]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=descriptors)  # noqa: S603 - this Python
    try:
        for listener in listeners:
            listener.close()  # it is the other process's
        yield Scene(folder, f"http://{plain}", f"https://{tls}", f"http://{plain}/verifyVmMobileApi.htm")
    finally:
        process.kill()
        process.communicate()
