"""The trimmed descriptions of AWS's services: each call, answer and error is botocore's, in every region."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import botocore
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.support.functions import trim_script

DATA: Final = Path(botocore.__file__).parent / "data"
KEY: Final = {"TableName": "attempts", "Key": {"id": {"S": "a key"}}}
CONDITION: Final = {
    "ConditionExpression": "attribute_not_exists(id) OR held = :held",
    "ExpressionAttributeValues": {":held": {"N": "1"}, ":attempt": {"SS": ["one", "two"]}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
ITEM: Final = {"id": {"S": "a key"}, "attempts": {"SS": ["one"]}, "expiration": {"N": "1"}}
CALLS: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("dynamodb", "GetItem"): {**KEY, "ConsistentRead": True},
    ("dynamodb", "PutItem"): {"TableName": "attempts", "Item": ITEM, **CONDITION},
    ("dynamodb", "UpdateItem"): {
        **KEY,
        **CONDITION,
        "UpdateExpression": "ADD attempts :attempt",
        "ReturnValues": "ALL_NEW",
    },
    ("dynamodb", "DeleteItem"): {**KEY, **CONDITION},
    ("secretsmanager", "GetSecretValue"): {"SecretId": "signing"},
}
ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "dynamodb": {"Item": ITEM, "Attributes": ITEM},
    "secretsmanager": {"ARN": "arn", "Name": "signing", "SecretString": "text", "CreatedDate": 1.5e9},
}
CHANGING: Final = {"Authorization", "X-Amz-Date", "amz-sdk-invocation-id"}
"""Headers that have the time or a random identifier in them."""


class Sessions(NamedTuple):
    """botocore with its own descriptions and with the trimmed ones."""

    full: Session
    trimmed: Session


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    folder = tmp_path_factory.mktemp("data")
    trim = trim_script()
    for path in DATA.glob("*.json"):
        shutil.copy(path, folder)
    for service, operations in trim.OPERATIONS.items():
        shutil.copytree(DATA / service, folder / service)
        trim.trim_service(folder / service, operations)
    trim.trim_endpoints(folder / "endpoints.json")
    full, trimmed = Session(), Session()
    loader = trimmed.get_component("data_loader")
    loader._search_paths[:] = [str(folder)]  # noqa: SLF001 - else it adds to them
    loader.BUILTIN_DATA_PATH = str(folder)  # else rule sets are not asked
    for session in (full, trimmed):
        session.set_credentials("testing", "testing")
    return Sessions(full, trimmed)


def exchange(
    session: Session, service: str, operation: str, region: str, status: int, answer: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a call whose answer is given; return all that was sent and what came of it."""
    options = Config(parameter_validation=False, retries={"total_max_attempts": 1, "mode": "standard"})
    client: Any = session.create_client(service, region, config=options)
    sent: list[AWSPreparedRequest] = []

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        body = json.dumps(answer).encode()
        headers: Any = {"x-amzn-requestid": "1", "content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, status, headers, SimpleNamespace(stream=lambda *_, **__: [body]))

    client.meta.events.register("before-send", send)
    method = next(name for name, api in client.meta.method_to_api_mapping.items() if api == operation)
    try:
        outcome: Any = getattr(client, method)(**CALLS[service, operation])
    except ClientError as error:
        outcome = (type(error).__name__, error.response, str(error))
    (request,) = sent
    headers = {name: value for name, value in request.headers.items() if name not in CHANGING}
    return {"url": request.url, "body": request.body, "headers": headers, "outcome": outcome}


def regions(session: Session, service: str) -> list[str]:
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition, allow_non_regional=True)
    ]


@pytest.mark.parametrize(
    ("service", "operation"), [("dynamodb", "GetItem"), ("secretsmanager", "GetSecretValue")]
)
def test_every_region_of_every_partition_has_the_same_address(
    sessions: Sessions, service: str, operation: str
) -> None:
    known = regions(sessions.full, service)
    assert regions(sessions.trimmed, service) == known
    assert {"cn-north-1", "cn-northwest-1", "ap-southeast-1", "us-gov-west-1", "us-iso-east-1"} <= set(known)

    for region in [*known, "xx-new-1"]:
        full, trimmed = (exchange(session, service, operation, region, 200, {}) for session in sessions)
        assert (region, trimmed["url"]) == (region, full["url"])


@pytest.mark.parametrize(
    ("service", "operation"),
    [(name, each) for name, some in trim_script().OPERATIONS.items() for each in some],
)
def test_a_call_its_answer_and_its_errors_are_the_same(
    sessions: Sessions, service: str, operation: str
) -> None:
    shapes = sessions.full.get_service_model(service).operation_model(operation).error_shapes
    named = [shape.name for shape in shapes]
    answers = [(200, ANSWERS[service])] + [
        (400, {"__type": f"com.amazonaws#{name}", "message": "m", "Message": "m", "Item": ITEM})
        for name in [*named, "ThrottlingException", "NoSuchError"]
    ]
    for status, answer in answers:
        full, trimmed = (
            exchange(session, service, operation, "cn-north-1", status, answer) for session in sessions
        )
        assert trimmed == full
        assert len(full["outcome"]) > 1


def test_the_edits_suit_the_locked_packages_and_what_is_not_as_expected_fails(tmp_path: Path) -> None:
    trim = trim_script()
    packages = DATA.parents[1]
    for name, expected, replacement in trim.EDITS:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copy(packages / name, copy)
        trim.edit(copy, expected, replacement)
        compile(copy.read_text(encoding="utf-8"), name, "exec")
        for wrong in ("what the module does not have", "."):  # none, or too many
            with pytest.raises(ValueError, match="not as expected"):
                trim.edit(copy, wrong, "")
