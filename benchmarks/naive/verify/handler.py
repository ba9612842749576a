"""What one writes first: boto3, two clients, a verification's calls; nothing is checked, keys are kept."""  # noqa: INP001 (a code root of its own, not a package)

import base64
import json
import os
import uuid
from datetime import datetime, timedelta
from typing import Any

import boto3
import urllib3
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

secrets = boto3.client("secretsmanager")
dynamodb = boto3.client("dynamodb")
http = urllib3.PoolManager()


def read(name: str) -> str:
    """Fetch a secret's text."""
    return secrets.get_secret_value(SecretId=name)["SecretString"]


pepper, verification = read("pepper"), json.loads(read("verification"))
signing_key: Any = load_der_private_key(base64.b64decode(json.loads(read("signing"))["privateKey"]), None)
platform_key: Any = load_der_public_key(base64.b64decode(verification["platformPublicKey"]))


def handler(event: Any, context: Any) -> Any:  # noqa: ARG001 - Lambda's
    """Claim the token, count the attempt, ask the platform, store the outcome."""
    app_id, body, message_id = os.environ["APP_ID"], json.loads(event["body"]), str(uuid.uuid4())
    table, token = os.environ["TABLE_NAME"], {"id": {"S": body["token"]}}
    dynamodb.put_item(TableName=table, Item=token, ConditionExpression="attribute_not_exists(id)")
    dynamodb.update_item(
        TableName=table,
        Key={"id": {"S": pepper + body["phoneNum"]}},
        UpdateExpression="ADD attempts :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    moment = f"{datetime.utcnow() + timedelta(hours=8):%Y%m%d%H%M%S%f}"[:17]  # noqa: DTZ003 - as one writes it
    plain = body["phoneNum"] + verification["appKey"] + moment
    phone_num = base64.b64encode(platform_key.encrypt(plain.encode(), PKCS1v15())).decode()
    signed = app_id + message_id + phone_num + moment + body["token"] + "1.0"
    sign = base64.b64encode(signing_key.sign(signed.encode(), PKCS1v15(), MD5())).decode()  # noqa: S303 - the platform's
    header = {"version": "1.0", "msgId": message_id, "timestamp": moment, "appId": app_id}
    sent = {"token": body["token"], "userInformation": body["userInformation"]}
    message = {"header": header, "body": {**sent, "phoneNum": phone_num, "sign": sign}}
    answer = http.request("POST", os.environ["PLATFORM_URL"], json=message).json()
    dynamodb.update_item(
        TableName=table,
        Key=token,
        UpdateExpression="SET outcome = :outcome",
        ExpressionAttributeValues={":outcome": {"S": answer["header"]["resultCode"]}},
    )
    return {"statusCode": 200, "body": json.dumps({"verified": answer["header"]["resultCode"] == "000"})}
