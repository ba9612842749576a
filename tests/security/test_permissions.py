"""What the functions call of AWS is what their roles allow: no less, and no more."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.aws import DynamoDBClient
from tests.security.world import World
from tests.support.functions import secrets_of, trim_script
from tests.support.templates import APPLICATION, Made, asked, make, read, secret
from verify.verification import Verification

REGION: Final = "cn-north-1"
CALLED: Final[Mapping[str, frozenset[str]]] = trim_script().OPERATIONS
"""What the layer's botocore can call at all: a call of anything else fails in the bundle's own tests."""
# Lambda itself logs, traces and joins a VPC, and Secrets Manager decrypts, each with the role's permission.
NOT_THE_CODES: Final = ("logs:", "xray:", "kms:", "ec2:")


def allowed(made: Made, name: str) -> Iterator[tuple[str, str]]:
    """Yield what a function's role allows: pairs of action and resource."""
    role = made.resources("AWS::IAM::Role")[f"{name}Role"]
    policies = [*role["Policies"], made.resources("AWS::IAM::ManagedPolicy")[f"{name}Settings"]]
    for statement in (each for policy in policies for each in policy["PolicyDocument"]["Statement"]):
        for action in _list(statement["Action"]):
            if statement["Effect"] == "Allow" and not action.startswith(NOT_THE_CODES):
                yield from ((action, resource) for resource in _list(statement["Resource"]))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("receipts", [{}, {"ReceiptSecretArn": secret(REGION, "receipts")}])
def test_a_role_allows_the_functions_own_secrets_and_items_of_the_table(receipts: dict[str, str]) -> None:
    made = make(read(APPLICATION), {**asked(REGION), **receipts}, REGION)
    functions = made.resources("AWS::Serverless::Function")

    assert ("ReceiptKeysFunction" in functions) is bool(receipts)
    for function, properties in functions.items():
        variables = properties["Environment"]["Variables"]
        secrets = {value for key, value in variables.items() if key.endswith("_SECRET_ID")}
        expected = {("secretsmanager:GetSecretValue", each) for each in secrets}
        if "TABLE_NAME" in variables:
            expected |= {(f"dynamodb:{each}", "<AttemptsTable.Arn>") for each in CALLED["dynamodb"]}
        assert set(allowed(made, function.removesuffix("Function"))) == expected


def test_the_verification_makes_each_call_that_it_may(
    table: DynamoDBClient, rsa_key: Callable[[int], RSAPrivateKey]
) -> None:
    world, made = World(table, secrets_of(rsa_key(1024)), mismatches=1), set[str]()
    table.meta.events.register("before-call.dynamodb", lambda model, **_: made.add(model.name))
    token = world.token("001")

    for _ in range(2):  # the second finds the first one's outcome
        assert isinstance(world.alone("13912345678", token, "203.0.113.7"), Verification)
    another = world.token("001")  # which a budget refuses, so its claim is released
    world.alone("13912345678", another, "203.0.113.7")

    assert made == CALLED["dynamodb"]
