"""SnapStart: what a snapshot may hold, and a function that was restored from one."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import snapshot_restore_py
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.start import begin
from cmpassport.clock import utc_now
from cmpassport.signing import SignatureScheme
from local import ROOT
from tests.support.functions import APP_ID, LAMBDA_ENVIRONMENT, event, signing_secret
from tests.support.receipt_secrets import LONG_AGO, new_key, secret
from tests.support.secrets_manager import CREDENTIALS_TOKEN, SecretsManager
from verify.message import format_timestamp

SNAP_START: Final = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


@pytest.fixture(autouse=True)
def _no_hooks_left_over() -> Iterator[None]:
    yield
    snapshot_restore_py.get_before_snapshot().clear()
    snapshot_restore_py.get_after_restore().clear()


def made_by(env: dict[str, str]) -> list[str]:
    made: list[str] = []
    begin(lambda: made.append("client"), env, "secretsmanager")
    return made


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", None])
def test_without_snapshots_clients_are_made_at_start(kind: str | None) -> None:
    made = made_by({} if kind is None else {"AWS_LAMBDA_INITIALIZATION_TYPE": kind})

    assert made == ["client"]
    assert not snapshot_restore_py.get_after_restore()


def test_with_snapshots_clients_are_made_after_the_restore() -> None:
    made = made_by(SNAP_START)
    for function, arguments, _ in snapshot_restore_py.get_before_snapshot():
        function(*arguments)
    assert made == []

    for function, arguments, _ in snapshot_restore_py.get_after_restore():
        function(*arguments)
    assert made == ["client"]


@pytest.fixture
def server(rsa_key: Callable[[int], RSAPrivateKey]) -> Iterator[SecretsManager]:
    texts = {"signing": signing_secret(rsa_key(1024)), "receipts": secret((new_key(), LONG_AGO))}
    with SecretsManager() as server:
        server.secrets = {name: {"SecretString": text} for name, text in texts.items()}
        yield server


def environment(server: SecretsManager) -> dict[str, str]:
    """Lambda's environment under SnapStart: no credentials, but where to get some."""
    return {
        **LAMBDA_ENVIRONMENT,
        **SNAP_START,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": CREDENTIALS_TOKEN,
        "AWS_ENDPOINT_URL": server.url,
        "RECEIPT_SECRET_ID": "receipts",
    }


PRE_SIGN: Final = f"{APP_ID}{'A' * 32}{format_timestamp(utc_now())}{'B' * 32}1.2"
LIVES: Final = {
    "presign.app": ({"preSign": PRE_SIGN}, 200, 1),
    "verify.app": ({}, 400, 0),  # a body is refused before a secret is needed
    "jwks.app": ({}, 200, 1),  # what is published comes out of one
}
"""What a restored function is asked, its answer's status, and how many secrets that takes."""


@pytest.mark.parametrize("module", LIVES)
def test_nothing_secret_connected_or_random_is_made_before_the_snapshot(
    server: SecretsManager, tmp_path: Path, rsa_key: Callable[[int], RSAPrivateKey], module: str
) -> None:
    body, status, secrets = LIVES[module]
    (tmp_path / "event.json").write_text(json.dumps(event(json.dumps(body))))
    command = [sys.executable, "-m", "tests.support.snapshot", module, str(tmp_path / "event.json")]

    run = subprocess.run(
        command, env=environment(server), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert told["before"] == []
    assert told["diverged"]
    # Twice with the restore's own numbers: OpenSSL under ssl, and under cryptography.
    assert told["random after"] == ["cmpassport.snapshots"] * 2
    assert (told["response"]["statusCode"], len(server.asked)) == (status, secrets)
    assert server.credentials_given == 1
    if module == "presign.app":
        sign = json.loads(told["response"]["body"])["sign"]
        assert sign == SignatureScheme().sign(rsa_key(1024), PRE_SIGN)
    if module != "jwks.app":
        assert told["imported after"] == []
