"""The doctor over TLS: the platform's certificate, and pages as phones load them."""

import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tools.__main__ import main

DAY = dt.timedelta(days=1)
META = b'<!doctype html><html><head><meta content="always" name="referrer"></head></html>'


@dataclass(frozen=True)
class Certificate:
    """A certificate that vouches for itself, and its key, in one file."""

    file: Path

    @classmethod
    def make(cls, folder: Path, begins: dt.timedelta, ends: dt.timedelta) -> "Certificate":
        """Make one for 127.0.0.1, by when it begins and ends from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a certificate of a test's own")])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        file = folder / "certificate.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
        return cls(file)


class _Handler(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: Certificate, page: bytes = b"") -> Iterator[str]:
    """Run a server on loopback that speaks TLS with a certificate; gives its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file)
    handler = type("Handler", (_Handler,), {"body": page})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake is the test
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


Doctor = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Give what looks over variables in which all of AWS is out of reach; findings by code."""

    def run(*arguments: str, **changes: str) -> dict[str, dict[str, str]]:
        variables = {
            "APP_ID": "300011112222",
            "ALLOWED_ORIGINS": "https://www.abc.com",
            "SIGNING_SECRET_ID": "signing",
            "VERIFICATION_SECRET_ID": "verification",
            "PEPPER_SECRET_ID": "pepper",
            "TABLE_NAME": "attempts",
            "PLATFORM_URL": "http://127.0.0.1:1/verify",
            "AWS_REGION": "cn-north-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            **changes,
        }
        path = tmp_path / "desk.env"
        path.write_text("\n".join(f"{name}={value}" for name, value in variables.items()))
        assert main(["doctor", "--json", f"--env={path}", *arguments]) == 1  # AWS at the least
        groups = json.loads(capsys.readouterr().out)["groups"]
        return {each["code"]: each for group in groups for each in group["findings"]}

    return run


def trust(monkeypatch: pytest.MonkeyPatch, certificate: Certificate) -> None:
    """Have this machine's set of certificates be this one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))


def test_a_platform_whose_certificate_is_good_is_in_order(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.make(tmp_path, -DAY, 90 * DAY)
    trust(monkeypatch, certificate)

    with serving(certificate) as platform:
        findings = doctor(PLATFORM_URL=f"{platform}/verify")

    assert "answers over TLS, verified, with HTTP status 200" in findings["platform"]["what"]
    assert findings["platform"]["severity"] == "ok"
    assert "platform-certificate" not in findings


def test_a_certificate_that_ends_in_a_week_is_a_warning(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.make(tmp_path, -DAY, 7 * DAY)
    trust(monkeypatch, certificate)

    with serving(certificate) as platform:
        findings = doctor(PLATFORM_URL=f"{platform}/verify")

    assert findings["platform"]["severity"] == "ok"
    assert findings["platform-certificate"]["severity"] == "warning"
    assert "support" in findings["platform-certificate"]["remedy"]


def test_a_certificate_that_has_ended_is_a_fault(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.make(tmp_path, -9 * DAY, -DAY)
    trust(monkeypatch, certificate)

    with serving(certificate) as platform:
        findings = doctor(PLATFORM_URL=f"{platform}/verify")

    assert findings["platform-tls"]["severity"] == "fault"
    assert "certificate has expired" in findings["platform-tls"]["what"]
    # Its clock could be asked all the same: whether the certificate has ended is a matter of clocks.
    assert findings["clock"]["severity"] != "fault"


def test_a_certificate_that_nobody_vouches_for_is_a_fault(doctor: Doctor, tmp_path: Path) -> None:
    with serving(Certificate.make(tmp_path, -DAY, 90 * DAY)) as platform:
        findings = doctor(PLATFORM_URL=f"{platform}/verify")

    assert "self-signed certificate" in findings["platform-tls"]["what"]
    assert "proxy" in findings["platform-tls"]["remedy"]


@pytest.mark.parametrize(
    ("page", "code", "severity"),
    [(b"<html><head></head></html>", "page-no-referrer", "fault"), (META, "page-referrer", "ok")],
    ids=["without", "with"],
)
def test_an_https_page_needs_the_meta_element(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bytes, code: str, severity: str
) -> None:
    certificate = Certificate.make(tmp_path, -DAY, 90 * DAY)
    trust(monkeypatch, certificate)

    with serving(certificate, page) as origin:
        findings = doctor(f"--page={origin}/login.html?from=sms", ALLOWED_ORIGINS=origin)

    assert findings[code]["severity"] == severity
    assert findings["page-origin"]["severity"] == "ok"


def test_a_page_that_cannot_be_fetched_is_a_warning(doctor: Doctor) -> None:
    findings = doctor("--page=https://127.0.0.1:1/login.html")

    assert findings["page-unreachable"]["severity"] == "warning"
