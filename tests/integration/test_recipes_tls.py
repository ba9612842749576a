"""The recipes over TLS: keys are taken from whoever proves to be the address, and from nobody else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from tests.support.receipts import PATH, Issuer, JwksServer, jwks_server
from tests.support.recipes import LANGUAGES, Driver, skipping_without_parts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, its key, and a set for Java of it alone."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -days 1"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run([*command.split(), *files], cwd=folder, check=True, capture_output=True)
    certificate = load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    trusted = [pkcs12.PKCS12Certificate(certificate, b"test")]
    (folder / "trusted.p12").write_bytes(pkcs12.serialize_java_truststore(trusted, NoEncryption()))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[JwksServer]:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    with jwks_server(context) as server:
        yield server


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def trusting(
    language: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Driver]:
    """A recipe on a machine that trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(folder / "certificate.pem"))
    monkeypatch.setenv("JDK_JAVA_OPTIONS", f"-Djavax.net.ssl.trustStore={folder / 'trusted.p12'}")
    with skipping_without_parts(), LANGUAGES[language](tmp_path) as driver:
        yield driver


@pytest.fixture
def doubting(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A recipe on a machine that knows nothing of it, where somebody has given up on certificates."""
    monkeypatch.setenv("NODE_TLS_REJECT_UNAUTHORIZED", "0")
    with skipping_without_parts(), LANGUAGES[language](tmp_path) as driver:
        yield driver


def test_who_proves_to_be_the_address_is_believed(trusting: Driver, server: JwksServer) -> None:
    issuer = Issuer(server.issuer)
    server.body = issuer.jwks()
    good = issuer.genuine()

    claims = trusting.new(server.url).verify(good.attempt())["claims"]

    assert claims["jti"] == good.claims["jti"]


def test_a_certificate_for_another_name_brings_no_keys(trusting: Driver, server: JwksServer) -> None:
    issuer = Issuer(f"https://localhost:{server.port}")
    server.body = issuer.jwks()

    answer = trusting.new(issuer.address + PATH).verify(issuer.genuine().attempt())

    assert answer["reason"] == "keys_unavailable"


def test_a_certificate_that_nobody_vouches_for_brings_no_keys(doubting: Driver, server: JwksServer) -> None:
    issuer = Issuer(server.issuer)
    server.body = issuer.jwks()

    answer = doubting.new(server.url).verify(issuer.genuine().attempt())

    assert answer["reason"] == "keys_unavailable"
