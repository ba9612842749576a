"""The template after SAM's own transformation: what CloudFormation will make."""

import json
import subprocess
from typing import Any, Final

import pytest

from local import ROOT
from local.template import Deployment, Pseudo, Template

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

RELEASE: Final = "2026-11-24"
SECRET: Final = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:number-verification/any-a1B2c3"
INVOCATIONS: Final = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"


@pytest.fixture(scope="module")
def transformed() -> dict[str, Any]:
    command = [str(ROOT / ".venv-sam" / "bin" / "python"), "-c", TRANSFORM, json.dumps(PARAMETERS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    template: dict[str, Any] = json.loads(run.stdout)
    return template


@pytest.fixture(scope="module")
def resources(transformed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = transformed["Resources"]
    return made


def deploy(transformed: dict[str, Any], **parameters: str) -> Deployment:
    """Evaluate the transformed template, conditions included; what AWS would name is named here."""
    asked = {
        "AppId": "000340",
        "AllowedOrigins": "https://www.abc.com",
        "SigningSecretArn": SECRET,
        "VerificationSecretArn": SECRET,
    }
    deployment = Template(transformed).deploy(
        {**asked, **parameters}, Pseudo("eu-west-1", "123456789012", "demo")
    )
    deployment.created("NumberVerificationApi", "a1b2c3")
    for name in ("PreSign", "Verify"):
        deployment.created(f"{name}Function", name, Arn=f"arn:{name}")
        deployment.created(f"{name}Version", f"arn:{name}:7", Version="7")
        deployment.created(f"{name}Alias", f"arn:{name}:live")
    return deployment


def evaluated(deployment: Deployment, kind: str, *names: str) -> list[tuple[Any, ...]]:
    """Give properties of every resource of one type that there is with these parameters."""
    all_of_them = map(deployment.properties, deployment.resources(kind))
    return [tuple(properties.get(name) for name in names) for properties in all_of_them]


def integrations(deployment: Deployment) -> dict[str, str]:
    """Give what the API calls, by path."""
    paths = deployment.properties("NumberVerificationApi").get("Body")["paths"]
    return {
        path: methods["post"]["x-amazon-apigateway-integration"]["uri"] for path, methods in paths.items()
    }


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def test_no_role_is_made_beside_the_two_that_are_written_out(resources: dict[str, dict[str, Any]]) -> None:
    assert set(of_type(resources, "AWS::IAM::Role")) == {"PreSignRole", "VerifyRole"}


@pytest.mark.parametrize(
    ("snap_start", "called"),
    [("off", {"PreSign", "Verify"}), (RELEASE, {"PreSign", "arn:PreSign:live", "Verify", "arn:Verify:live"})],
)
def test_only_this_api_may_call_each_function_by_its_own_route(
    transformed: dict[str, Any], snap_start: str, called: set[str]
) -> None:
    deployment = deploy(transformed, SnapStart=snap_start)

    permissions = evaluated(
        deployment, "AWS::Lambda::Permission", "FunctionName", "Action", "Principal", "SourceArn"
    )

    routes = dict.fromkeys(called, "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3/*/POST/presign")
    routes |= {name: route.replace("presign", "verify") for name, route in routes.items() if "Verify" in name}
    assert sorted(permissions) == sorted(
        (name, "lambda:InvokeFunction", "apigateway.amazonaws.com", route) for name, route in routes.items()
    )


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


# --- SnapStart -------------------------------------------------------------------------------------


def test_by_default_the_api_calls_the_functions_as_they_are(transformed: dict[str, Any]) -> None:
    deployment = deploy(transformed)

    assert integrations(deployment) == {
        "/presign": INVOCATIONS.format("arn:PreSign"),
        "/verify": INVOCATIONS.format("arn:Verify"),
    }
    assert evaluated(deployment, "AWS::Lambda::Function", "SnapStart") == [({"ApplyOn": "None"},)] * 2
    assert not evaluated(deployment, "AWS::Lambda::Version")
    assert not evaluated(deployment, "AWS::Lambda::Alias")


def test_with_a_releases_name_the_api_calls_the_snapshots(transformed: dict[str, Any]) -> None:
    deployment = deploy(transformed, SnapStart=RELEASE)

    assert integrations(deployment) == {
        "/presign": INVOCATIONS.format("arn:PreSign:live"),
        "/verify": INVOCATIONS.format("arn:Verify:live"),
    }
    assert (
        evaluated(deployment, "AWS::Lambda::Function", "SnapStart")
        == [({"ApplyOn": "PublishedVersions"},)] * 2
    )
    assert evaluated(deployment, "AWS::Lambda::Alias", "FunctionName", "Name", "FunctionVersion") == [
        ("PreSign", "live", "7"),
        ("Verify", "live", "7"),
    ]


def test_a_new_name_publishes_a_version(transformed: dict[str, Any]) -> None:
    """CloudFormation does for a changed description; Lambda does where the function has changed too."""
    deployment = deploy(transformed, SnapStart=RELEASE)

    assert evaluated(deployment, "AWS::Lambda::Version", "FunctionName", "Description") == [
        ("PreSign", RELEASE),
        ("Verify", RELEASE),
    ]
    descriptions = evaluated(deployment, "AWS::Lambda::Function", "Description")
    assert all(description.endswith(f" Release {RELEASE}.") for (description,) in descriptions)
