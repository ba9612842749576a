"""What the functions call of AWS is what their roles allow: no less, and no more."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3

from local import ROOT
from local.aws import ACCOUNT_ID, REGION
from local.keys import ReceiptNumber
from local.samples import EXHAUSTED_NUMBER
from local.stack import Options, Stack
from local.template import Pseudo, Template
from tests.integration.test_leaks import every_story
from tests.security.recorder import Recorder, recorded
from tests.support.phone import Phone, Ticket
from tests.support.stacks import embedded, phone_of

TEMPLATE: Final = Template.read(ROOT / "template.yaml")
ROLES: Final = {
    "PreSignFunction": "PreSignRole",
    "VerifyFunction": "VerifyRole",
    "ReceiptKeysFunction": "ReceiptKeysRole",
}

# Lambda itself logs, traces and joins a VPC, and Secrets Manager decrypts, each with the role's permission.
NOT_THE_CODES: Final = ("logs:", "xray:", "kms:", "ec2:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("permissions")


@pytest.fixture(scope="module", params=[None, ReceiptNumber.HASH], ids=["without receipts", "with receipts"])
def stack(folder: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    # Embedded, whatever the target: DynamoDB Local is older and has Powertools read what AWS sends unasked.
    variables = {
        "PLATFORM_READ_TIMEOUT": "0.3",
        "PLATFORM_DEADLINE": "1",
        "CLIENT_HOURLY_LIMIT": "1000",
        "SECRET_MAX_AGE_SECONDS": "10",
    }
    options = Options(log=folder / "stack.log", variables=variables, receipts=request.param)
    with embedded(options) as stack:
        yield stack


@pytest.fixture(scope="module")
def recorders(stack: Stack, folder: Path) -> Iterator[dict[str, Recorder]]:
    with recorded(stack, folder / "recorded.log") as recorders:
        phone = phone_of(stack, sim="13512349876")
        every_story(phone)
        at_once(phone)
        if "ReceiptKeysFunction" in stack.functions:
            assert urllib3.request("GET", f"{stack.api}/.well-known/jwks.json").status == 200
        yield recorders


def at_once(phone: Phone) -> None:
    """Send one token several times at once, and a number more often than its budget."""
    ticket = phone.ticket()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: phone.verify("13512349870", ticket), range(4)))
    for _ in range(7):
        phone.verify("13512349871", phone.ticket())


def allowed(stack: Stack, function: str) -> set[tuple[str, str]]:
    """Return what a role allows: pairs of action and resource."""
    secrets = stack.secret_ids
    given = {
        "AppId": stack.app_id,
        "AllowedOrigins": stack.page,
        "SigningSecretArn": secrets["SIGNING_SECRET_ID"],
        "VerificationSecretArn": secrets["VERIFICATION_SECRET_ID"],
    }
    if "RECEIPT_SECRET_ID" in secrets:
        given |= {"ReceiptSecretArn": secrets["RECEIPT_SECRET_ID"]}
    deployment = TEMPLATE.deploy(given, Pseudo(REGION, ACCOUNT_ID, "permissions"))
    deployment.created("PepperSecret", secrets["PEPPER_SECRET_ID"])
    deployment.created("AttemptsTable", stack.table_name, Arn=stack.table_name)
    for group in deployment.resources("AWS::Logs::LogGroup"):
        deployment.created(group, group, Arn=group)
    pairs = set()
    policies = [each["PolicyDocument"] for each in deployment.properties(ROLES[function]).require("Policies")]
    settings = deployment.properties(function.replace("Function", "Settings"))
    for policy in (*policies, settings.require("PolicyDocument")):
        for statement in policy["Statement"]:
            if statement["Effect"] == "Deny":
                continue  # what is not allowed here either
            for action in _list(statement["Action"]):
                if not action.startswith(NOT_THE_CODES):
                    pairs |= {(action, resource) for resource in _list(statement["Resource"])}
    return pairs


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_what_is_called_is_what_is_allowed(stack: Stack, recorders: dict[str, Recorder]) -> None:
    for function in stack.functions:
        assert recorders[function].calls == allowed(stack, function)


def test_receipts_bring_a_function_and_a_secret_and_without_them_there_is_neither(stack: Stack) -> None:
    receipts = (
        {"ReceiptKeysFunction"} & stack.functions.keys(),
        {"RECEIPT_SECRET_ID"} & stack.secret_ids.keys(),
    )

    assert receipts in [(set(), set()), ({"ReceiptKeysFunction"}, {"RECEIPT_SECRET_ID"})]


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem"])
@pytest.mark.parametrize("error", ["ProvisionedThroughputExceededException", "InternalServerError"])
def test_a_fault_of_the_table_leads_to_no_other_call(
    stack: Stack, recorders: dict[str, Recorder], operation: str, error: str
) -> None:
    phone = phone_of(stack, sim="13512349876")
    recorder = recorders["VerifyFunction"]
    before = set(recorder.calls)
    recorder.refuse[operation] = error

    phone.verify("13512349875", phone.ticket())
    phone.verify("13512349875", Ticket(f"VM_{operation}{error}"[:40], "made%2Bup"))
    phone.verify(EXHAUSTED_NUMBER, phone.ticket())  # whose claim is deleted
    assert operation not in recorder.refuse, "the fault was not met"

    assert recorder.calls == before
