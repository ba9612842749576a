"""The template after SAM's own transformation: what CloudFormation will make."""

import json
import subprocess
from typing import Any, Final

import pytest

from local import ROOT

# Run by the Python that has the SAM CLI; prints the transformed template.
TRANSFORM: Final = """
import json, sys
import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

template = yaml_parse(open("template.yaml").read())
for resource in template["Resources"].values():
    for source in ("CodeUri", "ContentUri"):
        if source in resource["Properties"]:
            resource["Properties"][source] = "s3://bucket/key"
session = boto3.Session(region_name="cn-north-1")
parameters = json.loads(sys.argv[1])
print(json.dumps(Translator({}, Parser(), boto_session=session).translate(template, parameters), default=str))
"""
# CloudFormation hands the transformation the parameters' values; a list's as a list.
PARAMETERS: Final = {"AllowedOrigins": ["https://www.abc.com", "https://m.abc.com"]}


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    command = [str(ROOT / ".venv-sam" / "bin" / "python"), "-c", TRANSFORM, json.dumps(PARAMETERS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    made: dict[str, dict[str, Any]] = json.loads(run.stdout)["Resources"]
    return made


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def test_no_role_is_made_beside_the_two_that_are_written_out(resources: dict[str, dict[str, Any]]) -> None:
    assert set(of_type(resources, "AWS::IAM::Role")) == {"PreSignRole", "VerifyRole"}


def test_only_this_api_may_call_each_function(resources: dict[str, dict[str, Any]]) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission").values()

    assert len(permissions) == len(of_type(resources, "AWS::Lambda::Function"))
    for permission in permissions:
        assert permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
        assert "NumberVerificationApi" in json.dumps(permission["Properties"]["SourceArn"])


def test_both_functions_run_alike(resources: dict[str, dict[str, Any]]) -> None:
    for function in of_type(resources, "AWS::Lambda::Function").values():
        facts = function["Properties"]
        assert facts["Runtime"] == "python3.13"
        assert facts["Architectures"] == [{"Ref": "Architecture"}]
        assert facts["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}
        assert len(facts["Layers"]) == 2


def test_the_apis_cors_is_what_the_parameters_say(resources: dict[str, dict[str, Any]]) -> None:
    (api,) = of_type(resources, "AWS::ApiGatewayV2::Api").values()

    assert api["Properties"]["Body"]["x-amazon-apigateway-cors"] == {
        "allowOrigins": ["https://www.abc.com", "https://m.abc.com"],
        "allowMethods": ["POST"],
        "allowHeaders": ["content-type"],
        "exposeHeaders": ["retry-after", "apigw-requestid"],
        "maxAge": 7200,
    }


def test_every_route_is_throttled(resources: dict[str, dict[str, Any]]) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()

    assert stage["Properties"]["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottleRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottleBurst"},
    }
