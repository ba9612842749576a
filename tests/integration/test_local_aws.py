import subprocess
import sys

import boto3
import urllib3

from local import ROOT
from local.aws import AwsEndpoint
from local.template import Pseudo, Template

TEMPLATE = """
Resources:
  Attempts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expiration, Enabled: true}
  Pepper:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 64, ExcludePunctuation: true}}
"""


def test_resources_are_made_as_the_template_says_and_every_region_sees_them(endpoint: AwsEndpoint) -> None:
    deployment = Template.parse(TEMPLATE).deploy({}, Pseudo("cn-north-1", "123456789012", "demo"))
    endpoint.create_resources(deployment)
    session, name = boto3.Session("any", "any"), deployment.ref("Attempts")
    dynamodb = session.client("dynamodb", region_name="us-east-1", endpoint_url=endpoint.address)
    secrets = session.client("secretsmanager", region_name="cn-north-1", endpoint_url=endpoint.address)

    table = dynamodb.describe_table(TableName=name)["Table"]
    life = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    pepper = secrets.get_secret_value(SecretId=deployment.ref("Pepper"))

    assert (name, table["TableArn"]) == ("demo-Attempts", deployment.get_att("Attempts.Arn"))
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert life["AttributeName"] == "expiration"
    assert (pepper["Name"], len(pepper["SecretString"])) == ("demo-Pepper", 64)
    assert pepper["SecretString"].isalnum()


def test_a_name_that_the_web_has_led_here_is_told_nothing(endpoint: AwsEndpoint) -> None:
    host = "127.0.0.1.evil.example:4566"
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
