"""What one writes first: boto3, one client, secret, key, signature; nothing is checked or kept."""  # noqa: INP001 (a code root of its own, not a package)

import base64
import json
from typing import Any

import boto3
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import load_der_private_key

secrets = boto3.client("secretsmanager")


def handler(event: Any, context: Any) -> Any:  # noqa: ARG001 - Lambda's
    """Sign what was sent."""
    secret = json.loads(secrets.get_secret_value(SecretId="signing")["SecretString"])
    key: Any = load_der_private_key(base64.b64decode(secret["privateKey"]), None)
    pre_sign = json.loads(event["body"])["preSign"]
    sign = base64.b64encode(key.sign(pre_sign.encode(), PKCS1v15(), MD5())).decode()  # noqa: S303 - the platform's
    return {"statusCode": 200, "body": json.dumps({"sign": sign})}
