"""What a function finds where it starts, its environment and its secrets by name; and what it is asked."""

import json
import os
import runpy
from types import SimpleNamespace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cmpassport.aws import DynamoDBClient
from local import IMPORT_ROOTS, ROOT
from tests.support.receipt_secrets import bare, public_pem

APP_ID: Final = "000340"
APP_KEY: Final = "AA03E6C60D0B0D14320B9A3F0B5AAD99"
PEPPER: Final = "a pepper of at least thirty-two characters"
ORIGIN: Final = "https://www.example.com"
PRESIGN_ENVIRONMENT: Final = {"APP_ID": APP_ID, "ALLOWED_ORIGINS": ORIGIN, "SIGNING_SECRET_ID": "signing"}
VERIFY_ENVIRONMENT: Final = {
    **PRESIGN_ENVIRONMENT,
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "http://127.0.0.1:1/verify",
}
LAMBDA_ENVIRONMENT: Final = {
    **VERIFY_ENVIRONMENT,
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_REGION": "cn-north-1",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "POWERTOOLS_SERVICE_NAME": "number-verification-test",
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join(map(str, (*IMPORT_ROOTS, ROOT))),
    "PYTHONDONTWRITEBYTECODE": "1",  # code is read-only on Lambda
}
"""Of a function that starts in a process of its own, less its credentials."""


def event(body: str | None = "{}", **headers: str | None) -> dict[str, Any]:
    """Make a payload 2.0 event; headers by their names with underscores, None to leave one out."""
    sent = {"origin": ORIGIN, "content_type": "application/json", **headers}
    return {
        "version": "2.0",
        "headers": {name.replace("_", "-"): value for name, value in sent.items() if value is not None},
        "requestContext": {
            "requestId": "the request",
            "domainName": "api.example.com",
            "http": {"sourceIp": "203.0.113.7"},
        },
        "isBase64Encoded": False,
        **({} if body is None else {"body": body}),
    }


def create_table(client: DynamoDBClient) -> None:
    """Create the table that the functions look for."""
    client.create_table(
        TableName=VERIFY_ENVIRONMENT["TABLE_NAME"],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def signing_secret(key: RSAPrivateKey) -> str:
    """Write the customer's key as its secret holds it."""
    return json.dumps({"privateKey": bare(key)})


def secrets_of(key: RSAPrivateKey) -> dict[str, str]:
    """Write all secrets of a verification, with one key on both sides."""
    return {
        "signing": signing_secret(key),
        "verification": json.dumps({"appKey": APP_KEY, "platformPublicKey": public_pem(key)}),
        "pepper": PEPPER,
    }


def trim_script() -> SimpleNamespace:
    """Load the build's script that trims the dependencies layer."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "layers" / "dependencies" / "trim.py")))
