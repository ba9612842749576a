"""The template after SAM's own transformation: what CloudFormation will make."""

import json
import subprocess
from typing import Any, Final

import pytest

from local import ROOT
from local.template import Deployment
from tests.sam.rendering import SAM_PYTHON, SECRET, switches
from tests.sam.rendering import deploy as deploy_for

RELEASE: Final = "2026-11-24"
INVOCATIONS: Final = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"


@pytest.fixture(scope="module")
def transformed() -> dict[str, Any]:
    return dict(switches().template)


@pytest.fixture(scope="module")
def resources(transformed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = transformed["Resources"]
    return made


def deploy(transformed: dict[str, Any], **parameters: str) -> Deployment:
    """Evaluate the transformed template, conditions included; what AWS would name is named here."""
    deployment = deploy_for(transformed, parameters)
    deployment.created("NumberVerificationApi", "a1b2c3")
    for name in ("PreSign", "Verify", "ReceiptKeys"):
        deployment.created(f"{name}Function", name, Arn=f"arn:{name}")
        deployment.created(f"{name}Version", f"arn:{name}:7", Version="7")
        deployment.created(f"{name}Snapshot", f"arn:{name}:8", Version="8")
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
        path: facts["x-amazon-apigateway-integration"]["uri"]
        for path, methods in paths.items()
        for facts in methods.values()
    }


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def test_no_role_is_made_beside_those_that_are_written_out(resources: dict[str, dict[str, Any]]) -> None:
    assert set(of_type(resources, "AWS::IAM::Role")) == {
        "PreSignRole",
        "VerifyRole",
        "ReceiptKeysRole",
        "ReleaseRole",
    }


def test_by_default_there_is_what_answers_keeps_and_logs_and_what_watches_it(
    transformed: dict[str, Any],
) -> None:
    deployment = deploy(transformed)
    kinds = {resource["Type"] for resource in transformed["Resources"].values()}
    made = {kind: len(list(deployment.resources(kind))) for kind in kinds}

    assert {kind.removeprefix("AWS::"): count for kind, count in made.items() if count} == {
        "ApiGatewayV2::Api": 1,
        "ApiGatewayV2::Stage": 1,
        "Lambda::Function": 2,
        "Lambda::Permission": 2,
        "Lambda::LayerVersion": 2,
        "IAM::Role": 2,
        "DynamoDB::Table": 1,
        "SecretsManager::Secret": 1,
        "Logs::LogGroup": 3,
        "CloudWatch::Alarm": 11,
        "CloudWatch::Dashboard": 1,
        "Logs::QueryDefinition": 8,
    }


@pytest.mark.parametrize("receipts", ["off", "on"])
@pytest.mark.parametrize("release", ["off", RELEASE])
def test_only_this_api_may_call_each_function_by_its_own_route(
    transformed: dict[str, Any], release: str, receipts: str
) -> None:
    deployment = deploy(transformed, Release=release, Receipts=receipts, ReceiptSecretArn=SECRET)
    routes = {"PreSign": "POST/presign", "Verify": "POST/verify"}
    if receipts == "on":
        routes["ReceiptKeys"] = "GET/.well-known/jwks.json"

    permissions = evaluated(
        deployment, "AWS::Lambda::Permission", "FunctionName", "Action", "Principal", "SourceArn"
    )

    called = {name: (name, f"arn:{name}:live")[: 1 if release == "off" else 2] for name in routes}
    assert sorted(permissions) == sorted(
        (
            function,
            "lambda:InvokeFunction",
            "apigateway.amazonaws.com",
            f"arn:aws:execute-api:eu-west-1:123456789012:a1b2c3/*/{route}",
        )
        for name, route in routes.items()
        for function in called[name]
    )


def test_all_functions_run_alike(resources: dict[str, dict[str, Any]]) -> None:
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


def test_a_name_of_its_own_takes_the_place_of_awss(transformed: dict[str, Any]) -> None:
    own = {
        "DomainName": "number.abc.com",
        "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/a",
    }
    switched_off = {
        "url": "https://number.abc.com",  # without one API Gateway warns, and the deployment fails
        "x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": True},
    }

    for given, servers, base in (
        ({}, None, "https://a1b2c3.execute-api.eu-west-1.amazonaws.com"),
        (own, [switched_off], "https://number.abc.com"),
    ):
        deployment = deploy(transformed, **given)
        assert deployment.properties("NumberVerificationApi").get("Body").get("servers") == servers
        assert deployment.evaluate(transformed["Outputs"]["ApiUrl"]["Value"]) == base
        assert deployment.evaluate(transformed["Outputs"]["VerifyUrl"]["Value"]) == f"{base}/verify"


# --- Releases --------------------------------------------------------------------------------------


def test_by_default_the_api_calls_the_functions_as_they_are(transformed: dict[str, Any]) -> None:
    deployment = deploy(transformed)

    assert integrations(deployment) == {
        "/presign": INVOCATIONS.format("arn:PreSign"),
        "/verify": INVOCATIONS.format("arn:Verify"),
    }
    assert snap_start(deployment) == {"PreSignFunction": "None", "VerifyFunction": "None"}
    assert not evaluated(deployment, "AWS::Lambda::Version")
    assert not evaluated(deployment, "AWS::Lambda::Alias")


def snap_start(deployment: Deployment) -> dict[str, str]:
    """Give what each function says of snapshots; one that says nothing has none."""
    properties = map(deployment.properties, deployment.resources("AWS::Lambda::Function"))
    return {each.logical_id: (each.get("SnapStart") or {"ApplyOn": "None"})["ApplyOn"] for each in properties}


@pytest.mark.parametrize(("switch", "version"), [("off", "7"), ("on", "8")])
def test_a_release_has_the_api_call_its_versions(
    transformed: dict[str, Any], switch: str, version: str
) -> None:
    deployment = deploy(transformed, Release=RELEASE, SnapStart=switch)

    assert integrations(deployment) == {
        "/presign": INVOCATIONS.format("arn:PreSign:live"),
        "/verify": INVOCATIONS.format("arn:Verify:live"),
    }
    applied = {"off": "None", "on": "PublishedVersions"}[switch]
    assert snap_start(deployment) == {"PreSignFunction": applied, "VerifyFunction": applied}
    assert evaluated(deployment, "AWS::Lambda::Alias", "FunctionName", "Name", "FunctionVersion") == [
        ("PreSign", "live", version),
        ("Verify", "live", version),
    ]


def test_the_receipts_keys_are_released_with_what_signs_with_them(transformed: dict[str, Any]) -> None:
    deployment = deploy(transformed, Release=RELEASE, SnapStart="on", Receipts="on", ReceiptSecretArn=SECRET)

    assert integrations(deployment)["/.well-known/jwks.json"] == INVOCATIONS.format("arn:ReceiptKeys:live")
    assert snap_start(deployment)["ReceiptKeysFunction"] == "None"
    assert ("ReceiptKeys", "live", "7") in evaluated(
        deployment, "AWS::Lambda::Alias", "FunctionName", "Name", "FunctionVersion"
    )


@pytest.mark.parametrize("switch", ["off", "on"])
def test_a_new_name_publishes_a_version(transformed: dict[str, Any], switch: str) -> None:
    """CloudFormation does for a changed description; Lambda does where the function has changed too."""
    deployment = deploy(transformed, Release=RELEASE, SnapStart=switch)

    assert evaluated(deployment, "AWS::Lambda::Version", "FunctionName", "Description") == [
        ("PreSign", RELEASE),
        ("Verify", RELEASE),
    ]
    descriptions = evaluated(deployment, "AWS::Lambda::Function", "Description")
    assert all(description.endswith(f" Release {RELEASE}.") for (description,) in descriptions)


def test_traffic_is_shifted_where_that_is_asked_for(transformed: dict[str, Any]) -> None:
    shift = "Canary10Percent30Minutes"
    at_once = deploy(transformed, Release=RELEASE)
    deployment = deploy(transformed, Release=RELEASE, TrafficShift=shift)
    for name in ("ReleaseShifts", "PreSignShift", "VerifyShift"):
        deployment.created(name, name)

    aliases = {
        name: transformed["Resources"][name]["UpdatePolicy"] for name in ("PreSignAlias", "VerifyAlias")
    }
    assert {name: deployment.evaluate(policy) for name, policy in aliases.items()} == {
        f"{name}Alias": {
            "CodeDeployLambdaAliasUpdate": {
                "ApplicationName": "ReleaseShifts",
                "DeploymentGroupName": f"{name}Shift",
            }
        }
        for name in ("PreSign", "Verify")
    }
    assert (
        evaluated(deployment, "AWS::CodeDeploy::DeploymentGroup", "DeploymentConfigName")
        == [(f"CodeDeployDefault.Lambda{shift}",)] * 2
    )
    assert not evaluated(at_once, "AWS::CodeDeploy::DeploymentGroup")


# --- What is kept ----------------------------------------------------------------------------------

# Run by the Python that has cfn-lint, which ships the providers' schemas.
REPLACING: Final = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

def replacing(kind):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema
    paths = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    return sorted({path.split("/")[2] for path in paths})

print(json.dumps({kind: replacing(kind) for kind in sys.argv[1:]}))
"""


def test_the_record_of_what_is_kept_names_what_the_providers_replace_it_for() -> None:
    """What tests/unit/test_kept.py goes by."""
    record = json.loads((ROOT / "tests" / "unit" / "kept.json").read_text())
    recorded = {facts["type"]: sorted(facts["replacing"]) for facts in record.values()}

    said = subprocess.check_output([SAM_PYTHON, "-c", REPLACING, *recorded], text=True)

    assert json.loads(said) == recorded
