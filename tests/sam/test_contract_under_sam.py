"""The HTTP contract through `sam local start-api`: the built bundle in containers behind SAM's gateway."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zlib import crc32

import pytest

from local import ROOT
from local.relay import bridge_address, relay
from local.stack import Options, Stack
from tests.integration.test_contract import (
    ROWS,
    Row,
    test_a_matching_number_is_verified,
    test_another_number_is_refused,
    test_user_information_and_expand_params_go_on_verbatim,
)
from tests.sam.conftest import ARCHITECTURE, SAM, as_in_containers, in_containers
from tests.sam.gateways import sams_gateway
from tests.support.phone import new_pre_sign
from tests.support.planted import leaks
from tests.support.stacks import embedded, phone_of, start, target

__all__ = [
    "test_a_matching_number_is_verified",
    "test_another_number_is_refused",
    "test_user_information_and_expand_params_go_on_verbatim",
]


ONE_AFTER_THE_OTHER: Final = "twice at once"
"""The row that cannot come here: SAM hands a function one event at a time."""


def _name(row: Row) -> str:
    return row.name


@pytest.fixture(scope="module", autouse=True)
def _under_sam(
    bundle: Path, image: str, sam_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Have every stack answered by a gateway of SAM's."""

    @contextmanager
    def under_sam(options: Options) -> Iterator[Stack]:
        folder = tmp_path_factory.mktemp("sam")
        log, variables = folder / "start-api.log", folder / "env.json"
        with ExitStack() as cleanup:
            stack = cleanup.enter_context(embedded(replace(options, warm=frozenset())))
            if address := bridge_address():
                inside = [stack.aws] if stack.simulator is None else [stack.aws, stack.platform]
                cleanup.enter_context(relay(address, [urlsplit(url).port or 0 for url in inside]))
            variables.write_text(
                json.dumps({name: as_in_containers(own) for name, own in stack.variables.items()})
            )
            parameters = {
                **options.parameters,
                "Architecture": ARCHITECTURE,
                "AllowedOrigins": stack.page,
                "AwsEndpointUrl": in_containers(stack.aws),
            }
            command = [
                str(SAM),
                "local",
                "start-api",
                f"--template-file={bundle / 'template.yaml'}",
                f"--config-file={ROOT / 'samconfig.toml'}",
                f"--invoke-image={image}",
                "--skip-pull-image",
                f"--env-vars={variables}",
                "--parameter-overrides=" + " ".join(f"{name}={value}" for name, value in parameters.items()),
            ]
            stack.api = cleanup.enter_context(sams_gateway(command, log, sam_environment))
            yield stack
        assert not leaks(log.read_text())

    with target(under_sam):
        yield


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack with default settings."""
    with start(Options()) as stack:
        yield stack


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != ONE_AFTER_THE_OTHER], ids=_name)
def test_a_refusal_is_as_the_contract_says(row: Row, stack: Stack) -> None:
    phone = phone_of(stack, sim=f"139{crc32(row.name.encode()) % 10**8:08d}")

    reply = row.provoke(phone)

    assert (reply.status, reply.json["code"], reply.json["action"]) == (row.status, row.code, row.action)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.json["status"] == row.status
    assert reply.json["requestId"]
    assert reply.json.get("resultCode") == row.result_code
    assert ("Retry-After" in reply.headers) is row.retry_after


def test_two_requests_at_once_have_one_outcome(stack: Stack) -> None:
    phone = phone_of(stack, sim="13700000005")
    ticket = phone.ticket()

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: phone.verify(phone.sim, ticket), range(2))

    assert (first.status, first.json) == (200, second.json)


def test_what_sams_gateway_lacks_it_still_lacks(stack: Stack) -> None:
    reply = phone_of(stack).presign(new_pre_sign(stack.app_id)[3])

    assert reply.status == 200
    assert "access-control-expose-headers" not in reply.headers
    assert "apigw-requestid" not in reply.headers
