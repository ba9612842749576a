"""Commands that are shown name the secret, profile and region of the command that shows them.

So they can be copied: a line without them would act on another secret, another account or another region.
"""

import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import pytest

from local.aws import AwsEndpoint
from local.server import listen
from tools.__main__ import main
from tools.keys.pairs import bare_private, bare_public, new_private_key

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PROFILE: Final = "two words"
AWS: Final = ("--profile", PROFILE, "--region", "eu-central-1")
SMALL: Final = new_private_key(1024)
OWN: Final = new_private_key(2048)
OTHER: Final = new_private_key(2048)
GOOD: Final = json.dumps({"privateKey": bare_private(OWN)})
PAIR: Final = {"appKey": "AA03E6C60D0B0D14320B9A3F0B5AAD99", "platformPublicKey": "?"}
LATE: Final = {"keys": [{"privateKey": "?", "signFrom": "2999-01-01T00:00:00Z"}]}

SHOWN: Final = re.compile(r"`([^`]*)`")
USUAL: Final = {
    "signing": "number-verification/signing",
    "verification": "number-verification/verification",
    "receipts": "number-verification/receipts",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[AwsEndpoint]:
    endpoint = AwsEndpoint(listen(0))
    yield endpoint
    endpoint.stop()


@pytest.fixture
def secrets(
    endpoint: AwsEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["SecretsManagerClient"]:
    """Secrets Manager without any secret, and a profile whose name has a space."""
    (tmp_path / "config").write_text(
        f'[profile "{PROFILE}"]\naws_access_key_id = any\naws_secret_access_key = any\n'
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.address)
    session = boto3.Session("any", "any", region_name="eu-central-1")
    client = session.client("secretsmanager", endpoint_url=endpoint.address)
    yield client
    for secret in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
        client.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)


def shown_by(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Give the commands that a command shows."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bare_private(OTHER).encode())))
    capsys.readouterr()
    main([*arguments, *AWS])
    out, err = capsys.readouterr()
    found = SHOWN.findall(f"{out}\n{err}")
    assert not [each for each in found if each.startswith(("keys ", "--"))]  # a part is no command
    return [each for each in found if each.startswith(("python -m tools ", "aws ", "sam "))]


def named(command: str) -> dict[str, str]:
    """Give the options of a command with their values, up to a pipe."""
    words = shlex.split(command)
    words = words[: words.index("|")] if "|" in words else words
    return {name: value for name, value in zip(words, [*words[1:], ""], strict=True) if name.startswith("--")}


SETS: Final = {
    "nothing": {},
    "good": {"signing": GOOD},
    "small": {"signing": json.dumps({"privateKey": bare_private(SMALL)})},
    "bare": {"signing": bare_private(OWN), "verification": bare_public(OTHER.public_key())},
    "half": {"signing": "{}", "verification": "[]", "receipts": "{}"},
    "public": {"signing": json.dumps({"privateKey": bare_public(OWN.public_key())})},
    "own": {
        "signing": GOOD,
        "verification": json.dumps({**PAIR, "platformPublicKey": bare_public(OWN.public_key())}),
    },
    "blank": {"verification": json.dumps({**PAIR, "appKey": "a b"})},
}
COMMANDS: Final = (
    ("signing", ("keys", "new")),
    ("signing", ("keys", "put", "signing", "--private", "-")),
    ("signing", ("keys", "rotate", "--step", "prepare")),
    ("signing", ("keys", "rotate", "--step", "switch")),
    ("signing", ("keys", "rotate", "--step", "verify")),
    ("signing", ("keys", "rotate", "--step", "rollback")),
    ("verification", ("keys", "put", "verification", "--platform-public", "-")),
    ("verification", ("keys", "put", "verification", "--replace", "--platform-public", "-")),
    ("receipts", ("keys", "receipts", "new")),
    ("receipts", ("keys", "receipts", "check")),
    ("receipts", ("keys", "receipts", "rotate")),
    ("receipts", ("keys", "receipts", "rotate", "--now")),
    ("both", ("keys", "check")),
)


def of_secret(command: str) -> tuple[str, ...]:
    """Give the option and the secret that a command of these tools has to name."""
    words = command.split()[3:]
    if words[:2] == ["keys", "receipts"]:
        return ("--secret", "receipts")
    if words[:3] == ["keys", "put", "verification"]:
        return ("--secret", "verification")
    return ("--secret", "signing") if words[0] == "keys" else ()


@pytest.mark.parametrize("there", SETS)
@pytest.mark.parametrize(("kind", "command"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS])
def test_each_shown_command_names_what_this_one_named(
    kind: str,
    command: tuple[str, ...],
    there: str,
    secrets: "SecretsManagerClient",
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in SETS[there].items():
        secrets.create_secret(Name=f"shop/{name}", SecretString=text)
    secret = ("--secret", "shop/signing", "--verification-secret", "shop/verification")
    known = {"signing", "verification"} if kind == "both" else {kind}

    shown = shown_by(
        (*command, *(secret if kind == "both" else ("--secret", f"shop/{kind}"))), capsys, monkeypatch
    )

    for each in shown:
        options = named(each)
        if "--help" in options or each.startswith("aws configure"):
            continue
        assert (options.get("--profile"), options.get("--region")) == (PROFILE, "eu-central-1"), each
        if each.startswith("python"):
            option, wanted = of_secret(each) or ("", "")
            if wanted in known and not {"--private", "--out"} & {*options}:
                assert options.get(option) == f"shop/{wanted}", each
        assert not [usual for usual in USUAL.values() if usual in each]


def test_a_copied_line_for_a_compromised_key_drops_no_other_secrets_keys(
    secrets: "SecretsManagerClient", capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shop/receipts", USUAL["receipts"]):
        main(["keys", "receipts", "new", "--secret", name, *AWS])
    before = secrets.get_secret_value(SecretId=USUAL["receipts"])["SecretString"]
    main(["keys", "receipts", "rotate", "--secret", "shop/receipts", *AWS])

    shown = shown_by(("keys", "receipts", "rotate", "--secret", "shop/receipts"), capsys, monkeypatch)
    (line,) = [each for each in shown if "--now" in each]

    assert main(shlex.split(line)[3:]) == 0
    assert secrets.get_secret_value(SecretId=USUAL["receipts"])["SecretString"] == before
