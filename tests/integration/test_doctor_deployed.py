"""The doctor on a deployed stack: CloudFormation and Lambda are moto's, the API is a local stack's gateway.

The functions that the API runs are the product's; what the doctor reads is CloudFormation's and Lambda's
word of them. It finds secrets and table through the same variables as on AWS.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local.stack import Options, Stack
from tests.support.planted import leaks
from tests.support.stacks import client_of, start
from tools.__main__ import main
from tools.doctor.place import PRESIGN, VERIFY

NAME: Final = "number-verification"
EGRESS: Final = "198.51.100.7"
PROBE_NUMBER: Final = "13800138000"


@dataclass(frozen=True)
class Said:
    """What a run of the doctor printed, and how it ended."""

    status: int
    document: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, str]]:
        return [finding for group in self.document["groups"] for finding in group["findings"]]

    def codes(self, severity: str) -> list[str]:
        return [finding["code"] for finding in self.findings if finding["severity"] == severity]

    def text(self, code: str) -> str:
        return " ".join(f"{each['what']} {each['remedy']}" for each in self.findings if each["code"] == code)


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """The stack whose API and functions are the deployment's."""
    with start(Options()) as stack:
        yield stack


@pytest.fixture(scope="module")
def aws(running: Stack) -> Iterator[str]:
    """Give the address of an AWS on which the stack is deployed."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    clients(address, "cloudformation").create_stack(
        StackName=NAME, TemplateBody=json.dumps(template(running))
    )
    yield address
    server.stop()


def clients(address: str, service: str) -> Any:
    session = boto3.Session("testing", "testing", region_name="cn-north-1")
    return session.client(service, endpoint_url=address)  # type: ignore[call-overload]  # any service


def template(stack: Stack) -> dict[str, Any]:
    """Write what CloudFormation has of a stack: its two functions, with their variables, and its outputs."""
    functions = {
        name: {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "app.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": "handler = None"},
                "Environment": {"Variables": variables(stack, name)},
            },
        }
        for name in (PRESIGN, VERIFY)
    }
    trust = {"Version": "2012-10-17", "Statement": []}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    outputs = {"ApiUrl": {"Value": stack.api}, "EgressAddresses": {"Value": EGRESS}}
    return {"Resources": {"Role": role, **functions}, "Outputs": outputs}


def variables(stack: Stack, function: str) -> dict[str, str]:
    return {name: value for name, value in stack.variables[function].items() if not name.startswith("AWS_")}


Doctor = Callable[..., Said]


@pytest.fixture
def doctor(
    running: Stack, aws: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Give what runs the command line on the deployment, and searches what it printed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", running.aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", running.dynamodb)
    secrets = {running.keys.private_key[:64], running.keys.app_key, PROBE_NUMBER}

    def run(*arguments: str, stack: str = NAME) -> Said:
        status = main(["doctor", "--json", f"--stack={stack}", "--region=cn-north-1", *arguments])
        out, error = capsys.readouterr()
        assert error == ""
        assert not leaks(out, secrets)
        return Said(status, json.loads(out))

    return run


def test_a_deployment_is_all_green_and_the_probe_through_its_function_too(
    doctor: Doctor, running: Stack
) -> None:
    said = doctor("--probe", f"--page={running.page}/")

    assert (said.status, said.codes("fault"), said.codes("warning")) == (0, [], [])
    assert "120020" in said.text("probe")
    assert EGRESS in said.text("egress")
    assert said.document["toReport"] == {
        "集成页面地址 (referer)": f"{running.page}/",
        "请求来源 (origin)": running.page,
        "出口 IP (white list)": EGRESS,
    }


def test_the_probe_gives_its_attempt_back(doctor: Doctor, running: Stack) -> None:
    doctor("--probe")

    items = client_of(running, "dynamodb").scan(TableName=running.table_name)["Items"]
    days = [item for item in items if "#" in item["id"]["S"] and not item["id"]["S"].startswith("token")]
    spent = [item for item in days if item.get("attempts", {}).get("SS", [""])[0].startswith("sample")]
    left = [item for item in days if item not in spent]
    assert left
    assert not any(item.get("attempts", {}).get("SS") for item in left)


def test_a_white_list_without_the_functions_address_is_what_the_probe_finds(
    doctor: Doctor, running: Stack
) -> None:
    simulator = running.simulator
    assert simulator is not None
    entered = simulator.customer
    simulator.customer = replace(entered, addresses=frozenset({EGRESS}))

    said = doctor("--probe")

    simulator.customer = entered
    assert (said.status, said.codes("fault")) == (1, ["probe-110004"])
    assert "EgressAddresses" in said.text("probe-110004")


def test_without_a_probe_the_functions_rights_are_not_known(doctor: Doctor) -> None:
    said = doctor()

    assert said.status == 0
    assert {"table-writes", "probe", "page", "pair"} == {*said.codes("not checked")}


def test_a_stack_that_is_not_there_is_a_fault(doctor: Doctor) -> None:
    said = doctor(stack="number-verifikation")

    assert (said.status, said.codes("fault")) == (1, ["stack-not-found"])
    assert "list-stacks --region cn-north-1" in said.text("stack-not-found")


def test_an_aws_that_does_not_answer_is_a_fault(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    said = doctor()

    assert (said.status, said.codes("fault")) == (1, ["stack-unreachable"])
    assert "AWS_ENDPOINT_URL" in said.text("stack-unreachable")


def test_a_region_that_is_none_is_a_fault_and_is_not_repeated(doctor: Doctor) -> None:
    said = doctor("--region=planted 0123456789")

    assert (said.status, said.codes("fault")) == (1, ["stack-no-region"])
    assert "--region" in said.text("stack-no-region")
    assert "planted" not in json.dumps(said.document)


def test_an_endpoint_that_is_no_address_is_a_fault(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:4566")

    said = doctor()

    assert (said.status, said.codes("fault")) == (1, ["stack-unreachable"])
    assert "http://" in said.text("stack-unreachable")


def test_an_endpoint_that_knows_no_cloudformation_is_a_fault_with_a_way_out(
    doctor: Doctor, running: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.aws)

    said = doctor()

    assert (said.status, said.codes("fault")) == (1, ["stack-not-that-service"])
    assert "AWS_ENDPOINT_URL" in said.text("stack-not-that-service")
    assert "without --stack" in said.text("stack-not-that-service")


def test_a_function_that_was_changed_by_hand_is_found(doctor: Doctor, running: Stack, aws: str) -> None:
    name = physical(aws, PRESIGN)
    changed = {**variables(running, PRESIGN), "SIGNATURE_ENCODING": "HEX", "AWS_ENDPOINT_URL": aws}
    configure(aws, name, changed)

    said = doctor()

    configure(aws, name, variables(running, PRESIGN))
    assert (said.status, said.codes("fault")) == (1, ["settings-differ", "aws-redirected"])
    assert "SignatureEncoding" in said.text("settings-differ")
    assert "AwsEndpointUrl" in said.text("aws-redirected")


def test_a_setting_that_was_deployed_without_a_new_release_is_a_warning(
    doctor: Doctor, running: Stack, aws: str
) -> None:
    released = template(running)
    released["Parameters"] = {"Release": {"Type": "String"}}
    deploy(aws, "released", released, Release="2026-11-24")
    for function in (PRESIGN, VERIFY):
        name = physical(aws, function, "released")
        version = clients(aws, "lambda").publish_version(FunctionName=name)["Version"]
        clients(aws, "lambda").create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    before = doctor(stack="released")

    changed = {**variables(running, VERIFY), "DAILY_ATTEMPT_LIMIT": "8"}
    configure(aws, physical(aws, VERIFY, "released"), changed)
    after = doctor(stack="released")

    assert (before.status, before.codes("warning")) == (0, [])
    assert (after.status, after.codes("warning")) == (0, ["not-released"])
    assert "DailyAttemptLimit" in after.text("not-released")
    assert PRESIGN not in after.text("not-released")


def test_a_deployed_setting_that_is_wrong_is_named_with_its_parameter(
    doctor: Doctor, running: Stack, aws: str
) -> None:
    name = physical(aws, VERIFY)
    configure(aws, name, {**variables(running, VERIFY), "DAILY_ATTEMPT_LIMIT": "many", "TABLE_NAME": "?"})

    said = doctor()

    configure(aws, name, variables(running, VERIFY))
    assert (said.status, said.codes("fault")) == (1, ["setting-wrong", "setting-wrong"])
    assert "Set the parameter DailyAttemptLimit and deploy again." in said.text("setting-wrong")
    assert "TABLE_NAME is the template's own" in said.text("setting-wrong")


def test_a_function_that_is_gone_is_found(doctor: Doctor, running: Stack, aws: str) -> None:
    other = {**template(running)["Resources"]}
    del other[VERIFY]
    clients(aws, "cloudformation").create_stack(
        StackName="half", TemplateBody=json.dumps({"Resources": other})
    )

    said = doctor(stack="half")

    assert (said.status, said.codes("fault")) == (1, ["function-missing"])
    assert VERIFY in said.text("function-missing")


def test_without_a_region_there_is_nothing_to_look_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)

    status = main(["doctor", f"--stack={NAME}"])

    assert status == 2
    assert "--region" in capsys.readouterr().err


def deploy(aws: str, stack: str, document: dict[str, Any], **parameters: str) -> None:
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    clients(aws, "cloudformation").create_stack(
        StackName=stack, TemplateBody=json.dumps(document), Parameters=given
    )


def physical(aws: str, logical_id: str, stack: str = NAME) -> str:
    resource = clients(aws, "cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=logical_id
    )
    name: str = resource["StackResourceDetail"]["PhysicalResourceId"]
    return name


def configure(aws: str, name: str, changed: dict[str, str]) -> None:
    clients(aws, "lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": changed}
    )
