import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from local import ROOT
from local.aws import AwsEndpoint
from local.template import Deployment, Pseudo, Template

TEMPLATE = """
Resources:
  Attempts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expiration, Enabled: true}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      SSESpecification: {SSEEnabled: true}
  Pepper:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 64, ExcludePunctuation: true}}
  Pair:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: a-name
      GenerateSecretString: {SecretStringTemplate: '{"user": "me"}', GenerateStringKey: password}
"""


@pytest.fixture(scope="module")
def deployment(endpoint: AwsEndpoint) -> Deployment:
    deployment = Template.parse(TEMPLATE).deploy({}, Pseudo("cn-north-1", "123456789012", "demo"))
    endpoint.create_resources(deployment)
    return deployment


@cache
def session() -> boto3.Session:
    """Make a session that reads botocore's descriptions of the services once."""
    return boto3.Session("any", "any")


def client(endpoint: AwsEndpoint, service: str, region: str = "cn-north-1") -> Any:
    address = endpoint.address
    return session().client(service, region_name=region, endpoint_url=address)  # type: ignore[call-overload]


def test_a_table_is_what_the_template_declares(endpoint: AwsEndpoint, deployment: Deployment) -> None:
    dynamodb = client(endpoint, "dynamodb")
    name = deployment.ref("Attempts")

    table = dynamodb.describe_table(TableName=name)["Table"]
    life = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert name == "demo-Attempts"
    assert table["TableArn"] == deployment.get_att("Attempts.Arn")
    assert table["TableArn"].startswith("arn:aws-cn:dynamodb:cn-north-1:123456789012:")
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert life["AttributeName"] == "expiration"
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_secret_is_generated_as_the_template_says(endpoint: AwsEndpoint, deployment: Deployment) -> None:
    secrets = client(endpoint, "secretsmanager")

    pepper = secrets.get_secret_value(SecretId=deployment.ref("Pepper"))
    pair = secrets.get_secret_value(SecretId="a-name")["SecretString"]

    assert pepper["Name"] == "demo-Pepper"
    assert len(pepper["SecretString"]) == 64
    assert pepper["SecretString"].isalnum()
    assert pair.startswith('{"user": "me", "password": "')


def test_a_secrets_current_version_is_the_one_with_the_label(endpoint: AwsEndpoint) -> None:
    secrets = client(endpoint, "secretsmanager")
    first = secrets.create_secret(Name="labelled", SecretString="first")["VersionId"]
    second = secrets.put_secret_value(
        SecretId="labelled", SecretString="second", VersionStages=["AWSPENDING"]
    )

    assert secrets.get_secret_value(SecretId="labelled")["SecretString"] == "first"
    versions = (first, second["VersionId"])
    for old, new, text in ((*versions, "second"), (*reversed(versions), "first")):
        secrets.update_secret_version_stage(
            SecretId="labelled", VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old
        )
        assert secrets.get_secret_value(SecretId="labelled")["SecretString"] == text


@pytest.mark.parametrize("region", ["cn-northwest-1", "us-east-1"])
def test_every_region_sees_the_same(endpoint: AwsEndpoint, deployment: Deployment, region: str) -> None:
    table = deployment.ref("Attempts")

    client(endpoint, "dynamodb", region).put_item(TableName=table, Item={"id": {"S": region}})

    got = client(endpoint, "dynamodb").get_item(TableName=table, Key={"id": {"S": region}})
    assert "Item" in got


def test_a_conditional_write_is_atomic_however_many_write_at_once(
    endpoint: AwsEndpoint, deployment: Deployment
) -> None:
    dynamodb, refused = client(endpoint, "dynamodb"), []
    table, key = deployment.ref("Attempts"), {"id": {"S": "counted"}}

    def add() -> None:
        try:
            dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="ADD attempts :one",
                ConditionExpression="attribute_not_exists(attempts) OR attempts < :limit",
                ExpressionAttributeValues={":one": {"N": "1"}, ":limit": {"N": "5"}},
            )
        except ClientError as error:
            refused.append(error.response["Error"]["Code"])

    with ThreadPoolExecutor(16) as executor:
        for _ in range(32):
            executor.submit(add)

    assert dynamodb.get_item(TableName=table, Key=key)["Item"]["attempts"] == {"N": "5"}
    assert refused == ["ConditionalCheckFailedException"] * 27


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:4566", "localhost.evil.example"])
def test_a_name_that_the_web_has_led_here_is_told_nothing(endpoint: AwsEndpoint, host: str) -> None:
    headers = {"X-Amz-Target": "secretsmanager.ListSecrets", "Host": host, "Origin": "https://evil.example"}

    response = urllib3.request("POST", endpoint.address, body=b"{}", headers=headers, retries=False)

    assert response.status == 403
    assert "access-control-allow-origin" not in response.headers


PARENT = """
from local.aws import AwsEndpoint
from local.server import listen

endpoint = AwsEndpoint(listen(0))
endpoint.create_secret("a", "b")
print(endpoint.address, flush=True)
input()
"""


def test_no_endpoint_outlives_a_parent_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"http://127.0.0.1:")

        parent.kill()

        # The endpoint writes to standard error alone, which is this pipe too: it ends when both have ended.
        assert parent.stdout.read() == b""
