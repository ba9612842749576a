"""The templates after SAM's own transformation, with every switch: what CloudFormation gets."""

import json
import re
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any, Final

import pytest

from local import ROOT
from tests.support.templates import APPLICATION, LONGEST_STACK, REGIONS, Made, asked, make, read, switches

SAM_PYTHON: Final = ROOT / ".venv-sam" / "bin" / "python"
REGION: Final = "eu-central-1"
FUNCTIONS: Final = ("PreSignFunction", "VerifyFunction", "ReceiptKeysFunction")

# Run by the Python that has the SAM CLI. CloudFormation hands SAM the parameters' values, a list's as a list.
TRANSFORM: Final = """
import json, sys
import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

session = boto3.Session(region_name="eu-central-1")
for line in sys.stdin:
    asked = json.loads(line)
    template = yaml_parse(open("template.yaml").read())
    for name, resource in template["Resources"].items():
        for source in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][source] = "s3://bundles/" + asked["keys"].get(name, "key")
    parameters = {**asked["parameters"], "AllowedOrigins": asked["parameters"]["AllowedOrigins"].split(",")}
    made = Translator({}, Parser(), boto_session=session).translate(template, parameters)
    print(json.dumps(made, default=str))
"""

# Run by the Python that has cfn-lint, which ships the providers' schemas.
SCHEMAS: Final = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as schemas

def facts(kind):
    schema = schemas.get_resource_schema("eu-central-1", kind).schema
    names = ("primaryIdentifier", "createOnlyProperties", "conditionalCreateOnlyProperties")
    found = {name: sorted(path.split("/")[2] for path in schema.get(name, ())) for name in names}
    handlers = [each for name, each in schema.get("handlers", {}).items() if name != "list"]
    return {**found, "actions": sorted({action for each in handlers for action in each["permissions"]})}

print(json.dumps({kind: facts(kind) for kind in sys.argv[1:]}))
"""


def transform(*asked_for: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Have SAM transform the application's template, once for each set of parameters."""
    lines = "".join(json.dumps({"keys": {}, **each}) + "\n" for each in asked_for)
    run = subprocess.run(
        [SAM_PYTHON, "-c", TRANSFORM], input=lines, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(scope="module")
def everything() -> list[Made]:
    """The application as CloudFormation makes it, for every switch in every region that is named."""
    wanted = [(region, values) for region in REGIONS for values in switches(APPLICATION, region)]
    documents = transform(*({"parameters": values} for _, values in wanted))
    return [
        make(document, values, region, LONGEST_STACK)
        for document, (region, values) in zip(documents, wanted, strict=True)
    ]


def test_the_api_calls_the_alias_of_each_function_and_only_it_may(everything: list[Made]) -> None:
    for made in everything:
        (api,) = made.resources("AWS::ApiGatewayV2::Api").values()
        (stage,) = made.resources("AWS::ApiGatewayV2::Stage").values()
        routes = {
            (method.upper(), path): definition["x-amazon-apigateway-integration"]["uri"]
            for path, methods in api["Body"]["paths"].items()
            for method, definition in methods.items()
        }
        permissions = made.resources("AWS::Lambda::Permission").values()
        aliases = {f"<{name}Aliaslive>" for name in made.resources("AWS::Lambda::Function")}

        assert {uri.split("/functions/")[1].split("/")[0] for uri in routes.values()} == aliases
        assert {each["FunctionName"] for each in permissions} == aliases
        allowed = {each["SourceArn"].partition("/")[2] for each in permissions}
        assert allowed == {f"*/{method}{path}" for method, path in routes}
        # API Gateway refuses settings of a route that is not there.
        assert stage.get("RouteSettings", {}).keys() <= {" ".join(route) for route in routes}
        origins = api["Body"]["x-amazon-apigateway-cors"]["allowOrigins"]
        assert origins == made.values["AllowedOrigins"].split(",")


def versions(template: Mapping[str, Any]) -> set[str]:
    return {name for name, each in template["Resources"].items() if each["Type"] == "AWS::Lambda::Version"}


@pytest.mark.parametrize("changed", ["PreSignFunction", "VerifyFunction", "CryptoLayer", "DependenciesLayer"])
def test_other_code_and_other_layers_publish_versions(changed: str) -> None:
    parameters = asked(REGION)
    before, after = transform(
        {"parameters": parameters}, {"parameters": parameters, "keys": {changed: "another"}}
    )

    functions = [changed] if changed in FUNCTIONS else FUNCTIONS
    new = versions(after) - versions(before)
    assert {name.partition("Version")[0] for name in new} == set(functions)
    for name in versions(before):
        kept = before["Resources"][name]
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")


def schemas(*kinds: str) -> dict[str, dict[str, list[str]]]:
    """Ask the providers' schemas what names a resource, and what it is replaced for."""
    said: dict[str, dict[str, list[str]]] = json.loads(
        subprocess.check_output([SAM_PYTHON, "-c", SCHEMAS, *kinds], text=True)
    )
    return said


def test_the_record_of_what_is_kept_names_what_the_providers_replace_it_for() -> None:
    """What tests/unit/test_kept.py goes by, and the identifiers by which docs/deploy.md imports."""
    record = json.loads((ROOT / "tests" / "unit" / "kept.json").read_text())
    said = schemas(*(facts["type"] for facts in record.values()))

    for facts in record.values():
        of_type = said[facts["type"]]
        replacing = of_type["createOnlyProperties"] + of_type["conditionalCreateOnlyProperties"]
        assert sorted(replacing) == sorted(facts["replacing"])
    assert [said[facts["type"]]["primaryIdentifier"] for facts in record.values()] == [["TableName"], ["Id"]]


def test_what_is_adopted_is_what_the_template_has() -> None:
    """Else the deployment that follows would change it, the pepper's value included."""
    kept, written = read("stacks/kept.yaml")["Resources"], read(APPLICATION)["Resources"]

    for name, resource in kept.items():
        assert {**resource, "Properties": {}} == {**written[name], "Properties": {}}
        assert resource["Properties"].items() <= written[name]["Properties"].items()
    assert kept["PepperSecret"]["Properties"]["GenerateSecretString"]


# What the handlers would call for properties that the template has not: other services' and other features'.
NOT_USED: Final = (
    r"(elasticfilesystem|s3files|firehose|kinesis|s3):.*",
    r"apigateway:(Add|Remove)CertificateToDomain|apigateway:RemoveCertificateFromDomain",
    r"codedeploy:RegisterOnPremisesInstance",
    r"dynamodb:(\w*Replica|ImportTable|DescribeImport|\w*Item|Query|Scan|\w*KinesisStreamingDestination)",
    r"dynamodb:UpdateContributorInsights",
    r"iam:(Attach|Detach)(Group|User)Policy|iam:CreateServiceLinkedRole|iam:\w*PermissionsBoundary",
    r"kms:(ListAliases|RevokeGrant)",
    r"logs:(\w*LogStreams?|PutLogEvents|\w+IndexPolicy|(Put|Delete)DataProtectionPolicy)",
    r"logs:(DeleteResourcePolicy|PutBearerTokenAuthentication|PutLogGroupDeletionProtection)",
    r"route53:ListHostedZones",
    r"secretsmanager:(GetSecretValue|ReplicateSecretToRegions|RemoveRegionsFromReplication)",
)


def test_the_deployers_policy_allows_what_the_providers_call(everything: list[Made]) -> None:
    policy = json.loads((ROOT / "docs" / "deployer-policy.json").read_text())
    patterns = [action for statement in policy["Statement"] for action in statement["Action"]]
    kinds = {each["Type"] for made in everything for each in made.document["Resources"].values()}

    needed = {action for facts in schemas(*sorted(kinds)).values() for action in facts["actions"]}
    assert {
        action
        for action in needed
        if not any(fnmatch(action, pattern) for pattern in patterns)
        and not any(re.fullmatch(each, action) for each in NOT_USED)
    } == set()
