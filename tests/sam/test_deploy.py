"""The life of a deployment, by `sam deploy` into MiniStack: settings, releases, receipts, secrets, removal.

The tests are one story in its order. Everything is looked at from outside, as an operator and a phone do.
What MiniStack lacks, the API's routes, is made through its API.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
import urllib3
import yaml

from local import ROOT
from tests.sam.conftest import APP_ID, PAGE, REGION, SAM, VERIFY_PATH, Cloud, rewritten
from tests.support.planted import leaks

NAME: Final = "number-verification"
EMPTY: Final = '""'
"""How a parameter is emptied: SAM CLI leaves out what is nothing, and the former value stays."""
ROUTES: Final = {
    "POST /presign": "PreSignFunction",
    "POST /verify": "VerifyFunction",
    "GET /.well-known/jwks.json": "ReceiptKeysFunction",
}
OTHER_NUMBER: Final = "13800001111"


@dataclass
class Operator:
    """Who deploys: commands as docs/deploy.md has them."""

    cloud: Cloud
    bundle: Path
    answers: dict[str, str] = field(default_factory=dict)

    def deploy(self, *, succeeds: bool = True, **parameters: str) -> str:
        """Run `sam deploy` with these parameters beside those of before; returns what it printed."""
        self.answers |= parameters
        given = [f"{name}={value or EMPTY}" for name, value in self.answers.items()]
        run = self.sam(
            "deploy",
            f"--template-file={rewritten(self.bundle, self.cloud)}",
            f"--config-file={ROOT / 'samconfig.toml'}",
            "--no-confirm-changeset",
            f"--parameter-overrides={' '.join(given)}",
        )
        assert (run.returncode == 0) is succeeds, run.stdout[-3000:] + run.stderr
        if succeeds:
            self._define_api()
        return run.stdout

    def sam(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run SAM CLI."""
        environment = self.cloud.environment
        return subprocess.run([SAM, *arguments], env=environment, capture_output=True, text=True, check=False)

    def doctor(self) -> str:
        """Return what the doctor says of the deployment."""
        command = [sys.executable, "-m", "tools", "doctor", "--stack", NAME]
        environment = {**self.cloud.environment, "LANG": "C"}
        run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert "mistake of its own" not in run.stderr, run.stderr
        return " ".join(run.stdout.split())

    def _define_api(self) -> None:
        """Make the routes, which MiniStack does not read out of the API's definition."""
        api_id, gateway = self.physical("NumberVerificationApi"), self.cloud.client("apigatewayv2")
        there = {route["RouteKey"] for route in gateway.get_routes(ApiId=api_id)["Items"]}
        for route, function in ROUTES.items():
            alias = self.physical(f"{function}Aliaslive")
            if alias and route not in there:
                integration = gateway.create_integration(
                    ApiId=api_id,
                    IntegrationType="AWS_PROXY",
                    IntegrationUri=alias,
                    PayloadFormatVersion="2.0",
                )
                target = f"integrations/{integration['IntegrationId']}"
                gateway.create_route(ApiId=api_id, RouteKey=route, Target=target)

    def physical(self, logical_id: str) -> str:
        """Return what a resource is called; nothing where it is not there."""
        resources = self.cloud.client("cloudformation").describe_stack_resources(StackName=NAME)
        for each in resources["StackResources"]:
            if each["LogicalResourceId"] == logical_id:
                name: str = each["PhysicalResourceId"]
                return name
        return ""

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs."""
        (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def running(self, function: str = "verify") -> dict[str, Any]:
        """Return the configuration that the alias names."""
        found: dict[str, Any] = self.cloud.client("lambda").get_function_configuration(
            FunctionName=f"{NAME}-{function}", Qualifier="live"
        )
        return found


@pytest.fixture(scope="module")
def operator(cloud: Cloud, bundle: Path) -> Iterator[Operator]:
    asked = {name: cloud.arns[name] for name in ("SigningSecretArn", "VerificationSecretArn")}
    operator = Operator(cloud, bundle, {"AppId": APP_ID, "Line": "test", "AllowedOrigins": PAGE, **asked})
    yield operator
    assert not leaks((cloud.folder / "ministack.log").read_text())


def test_a_first_deployment_that_fails_leaves_nothing_behind(operator: Operator) -> None:
    """The alarms of a shift are of metric math, which MiniStack does not know: there it fails."""
    cloud = operator.cloud
    before = cloud.client("secretsmanager").list_secrets()["SecretList"]

    printed = operator.deploy(succeeds=False, TrafficShift="Canary10Percent5Minutes")
    del operator.answers["TrafficShift"]

    assert "ROLLBACK_COMPLETE" in printed
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == before
    cloudformation = cloud.client("cloudformation")
    cloudformation.delete_stack(StackName=NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})


def test_five_answers_make_a_deployment_that_verifies_numbers(operator: Operator) -> None:
    printed = operator.deploy()

    assert "CREATE_COMPLETE" in printed
    assert f"https://{operator.physical('NumberVerificationApi')}." in operator.outputs()["ApiUrl"]
    assert operator.outputs()["PlatformUrl"] == operator.cloud.platform + VERIFY_PATH
    assert (operator.running()["Version"], operator.running("presign")["Version"]) == ("1", "1")
    phone = operator.cloud.phone("13999994444")
    right, wrong = (phone.verify(number, phone.ticket()) for number in (phone.sim, OTHER_NUMBER))
    assert (right.status, right.json["resultCode"], right.json["attemptsLeft"]) == (200, "000", 4)
    assert (wrong.status, wrong.json["resultCode"]) == (200, "001")
    said = operator.doctor()
    assert "VerifyFunction runs release unnamed (version 1)." in said
    assert "PreSignFunction takes all of its variables" in said


def test_the_functions_log_what_happens_and_nothing_of_a_request(operator: Operator) -> None:
    """With the variables that Lambda makes of LoggingConfig: INFO is there, the audit trail."""
    client = operator.cloud.client("logs")
    events = client.filter_log_events(logGroupName=f"/aws/lambda/{NAME}-verify")["events"]
    log = "".join(event["message"] for event in events)

    assert '"the platform answered"' in log
    assert '"PlatformLatency"' in log
    assert not leaks(log)


def test_a_release_and_its_settings_run_under_its_name(operator: Operator) -> None:
    printed = operator.deploy(Release="v2-3f2a91c", DailyAttemptLimit="2")
    operator.deploy()  # nothing new, which is no failure and publishes nothing

    assert (operator.running()["Version"], operator.running("presign")["Version"]) == ("2", "2")
    assert operator.running()["Description"].startswith("Release v2-3f2a91c, settings ")
    assert re.search(r"DELETE_SKIPPED +AWS::Lambda::Version", printed)
    phone = operator.cloud.phone("13999990002")
    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 1


def test_an_alias_is_set_back_at_once_and_a_deployment_goes_on_from_there(operator: Operator) -> None:
    client = operator.cloud.client("lambda")
    client.update_alias(FunctionName=f"{NAME}-verify", Name="live", FunctionVersion="1")
    phone = operator.cloud.phone("13999990004")

    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 4
    assert operator.running()["Environment"]["Variables"]["DAILY_ATTEMPT_LIMIT"] == "5"
    assert re.search("VerifyFunction runs release unnamed .* was set back by hand", operator.doctor())

    operator.deploy(Release="v3", DailyAttemptLimit="5")
    assert operator.running()["Version"] == "3"
    assert operator.running()["Environment"]["Variables"]["DAILY_ATTEMPT_LIMIT"] == "5"


def test_receipts_are_switched_on_by_their_secret(operator: Operator) -> None:
    operator.deploy(ReceiptSecretArn=operator.cloud.arns["ReceiptSecretArn"], ReceiptNumber="masked")
    phone = operator.cloud.phone("13999994444")

    reply = phone.verify(phone.sim, phone.ticket(), nonce="n-0S6_WzA2Mj")

    cloud = operator.cloud
    keys = urllib3.request("GET", f"{cloud.address}/.well-known/jwks.json", headers={"Host": cloud.host})
    receipt = reply.json["receipt"]
    key = jwt.PyJWKSet.from_json(keys.data.decode())[jwt.get_unverified_header(receipt)["kid"]]
    claims = jwt.decode(receipt, key.key, algorithms=["ES256"], audience=PAGE)
    wanted = {"phoneNumMasked": "139****4444", "nonce": "n-0S6_WzA2Mj", "appId": APP_ID}
    assert claims.items() >= wanted.items()


def test_a_parameter_is_emptied(operator: Operator) -> None:
    operator.deploy(ReceiptSecretArn="")

    assert "RECEIPT_SECRET_ID" not in operator.running()["Environment"]["Variables"]
    assert "ReceiptKeysUrl" not in operator.outputs()


def test_what_has_been_spent_outlives_the_stack_and_is_adopted_by_another(operator: Operator) -> None:
    kept = {name: operator.outputs()[name] for name in ("AttemptsTableName", "PepperSecretArn")}
    cloud = operator.cloud
    pepper = cloud.client("secretsmanager").get_secret_value(SecretId=kept["PepperSecretArn"])
    run = operator.sam("delete", f"--stack-name={NAME}", "--no-prompts", f"--region={REGION}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == [kept["AttemptsTableName"]]

    adopt(cloud, kept["AttemptsTableName"])
    operator.deploy()

    assert operator.outputs()["AttemptsTableName"] == kept["AttemptsTableName"]
    assert cloud.client("dynamodb").list_tables()["TableNames"] == [kept["AttemptsTableName"]]
    # MiniStack imports no secrets, so the new one is given the former value.
    cloud.client("secretsmanager").put_secret_value(
        SecretId=operator.outputs()["PepperSecretArn"], SecretString=pepper["SecretString"]
    )
    phone = cloud.phone("13999990002")
    assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 3  # one was spent before


def adopt(cloud: Cloud, table: str) -> None:
    """Make a stack of the table that is there, as docs/deploy.md has it of the table and the pepper."""
    template = yaml.safe_load((ROOT / "stacks" / "kept.yaml").read_text())
    del template["Resources"]["PepperSecret"]
    imported = {
        "ResourceType": "AWS::DynamoDB::Table",
        "LogicalResourceId": "AttemptsTable",
        "ResourceIdentifier": {"TableName": table},
    }
    cloudformation, name, soon = cloud.client("cloudformation"), {"StackName": NAME}, {"Delay": 1}
    change = {**name, "ChangeSetName": "adopt"}
    cloudformation.create_change_set(
        **change, ChangeSetType="IMPORT", TemplateBody=json.dumps(template), ResourcesToImport=[imported]
    )
    cloudformation.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=soon)
    cloudformation.execute_change_set(**change)
    cloudformation.get_waiter("stack_import_complete").wait(**name, WaiterConfig=soon)
