"""The transformed template as a stack in moto: what is there, whether it fits together and works.

Everything is looked at from outside, through AWS's APIs, as an operator looks at a deployment. The functions
run for real, with the environment that CloudFormation gave them; only the platform is another, the simulator.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import jwt
import pytest
import urllib3
from moto.cloudformation.parsing import get_model_map
from moto.iam.access_control import IAMPolicy, PermissionResult

from cmpassport.problems import Problem
from cmpassport.telemetry import Metric
from local import ROOT
from local.aws import ACCOUNT_ID
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets
from local.server import Server
from local.simulator import Customer, Simulator
from local.template import Deployment, Pseudo
from tests.support.cloudformation import LEFT_OUT, Aws, Change, Stack, aws, deploy, settled
from tests.support.cloudformation_server import LACKING, MADE_HERE
from tests.support.deployed import Served, served
from tests.support.phone import Phone, Reply
from tests.support.planted import leaks
from tools.plan import plan, planned

PAGE: Final = "https://www.abc.com"
APP_ID: Final = "000340"
DOMAIN: Final = "number.abc.com"
RELEASE: Final = "2026-11-24"
NONCE: Final = "n-0S6_WzA2Mj"
OTHER_NUMBER: Final = "13800001111"

SECRET: Final = f"arn:aws-cn:secretsmanager:cn-north-1:{ACCOUNT_ID}:secret:any-a1B2c3"
NEEDED: Final = {
    "AppId": APP_ID,
    "AllowedOrigins": PAGE,
    "SigningSecretArn": SECRET,
    "VerificationSecretArn": SECRET,
}

# One in a region, so that what a region has is the stack's.
STACKS: Final = (
    ("default", "eu-central-1"),
    ("default", "cn-northwest-1"),
    ("everything", "eu-west-1"),
    ("everything", "cn-north-1"),
)
FUNCTIONS: Final = {
    "default": {"PreSign", "Verify"},
    "everything": {"PreSign", "Verify", "ReceiptKeys"},
}
ROUTES: Final = {
    "PreSign": "POST /presign",
    "Verify": "POST /verify",
    "ReceiptKeys": "GET /.well-known/jwks.json",
}
AWSS_METRICS: Final = {
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"},
    "AWS/ApiGateway": {"4xx", "5xx", "Count"},
    "AWS/DynamoDB": {
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "SystemErrors",
        "ThrottledRequests",
        "WriteThrottleEvents",
    },
}
"""Of AWS's own metrics those that may be looked at, as AWS's documentation names them."""


# Run by the Python that has cfn-lint. A property's part that is fixed counts as the whole property.
CREATE_ONLY: Final = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

schema_of = PROVIDER_SCHEMA_MANAGER.get_resource_schema
schemas = {kind: schema_of("eu-central-1", kind).schema for kind in sys.argv[1:]}
fixed = ("createOnlyProperties", "conditionalCreateOnlyProperties")
paths = {kind: [path for name in fixed for path in schema.get(name, ())] for kind, schema in schemas.items()}
print(json.dumps({kind: [path.split("/")[2] for path in each] for kind, each in paths.items()}))
"""


@dataclass(frozen=True)
class World:
    """What is there before a stack is: an account, its keys, the platform."""

    aws: Aws
    keys: CustomerKeys
    platform: str
    platform_key: str

    def parameters(self, region: str) -> dict[str, str]:
        """Make what an operator makes beforehand in a region; give the parameters that name it."""
        secrets = {
            "SigningSecretArn": {"privateKey": self.keys.private_key},
            "VerificationSecretArn": {"appKey": self.keys.app_key, "platformPublicKey": self.platform_key},
            "ReceiptSecretArn": json.loads(ReceiptSecrets.fresh(ReceiptNumber.MASKED).text),
        }
        client = self.aws.client("secretsmanager", region)
        arns = {
            parameter: client.create_secret(
                Name=f"number-verification/{parameter}", SecretString=json.dumps(content)
            )["ARN"]
            for parameter, content in secrets.items()
        }
        return {"AppId": APP_ID, "AllowedOrigins": PAGE, "AwsEndpointUrl": self.aws.address, **arns}

    def everything(self, region: str) -> dict[str, str]:
        """Give the parameters that switch on what can be had together.

        HostedZoneId is not of them: moto's zones have ids that no zone of AWS's has.
        """
        in_china = region.startswith("cn-")
        partition = "aws-cn" if in_china else "aws"
        kms = self.aws.client("kms", region)
        return {
            "Receipts": "on",
            "ReceiptNumber": "masked",
            "AlarmEmail": "operator@abc.com",
            "SecretsKmsKeyArn": kms.create_key()["KeyMetadata"]["Arn"],
            "DataKmsKeyArn": kms.create_key()["KeyMetadata"]["Arn"],
            "StaticEgress": "two-addresses",
            "SecretsEndpoint": "on",
            "Release": RELEASE,
            "SnapStart": "off" if in_china else "on",
            "TrafficShift": "Canary10Percent5Minutes",
            "DomainName": DOMAIN,
            "CertificateArn": f"arn:{partition}:acm:{region}:{ACCOUNT_ID}:certificate/a1b2c3",
        }


@dataclass(frozen=True)
class Deployed:
    """A stack and what it was made of."""

    kind: str
    deployment: Deployment
    parameters: Mapping[str, str]
    stack: Stack
    log: Path

    @property
    def place(self) -> str:
        """What ARNs of this region have after the service's name."""
        return f"{self.stack.region}:{ACCOUNT_ID}"

    def function(self, name: str) -> dict[str, Any]:
        """Read a function's configuration."""
        client = self.stack.client("lambda")
        found: dict[str, Any] = client.get_function_configuration(
            FunctionName=self.stack.resources[f"{name}Function"]
        )
        return found

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """All functions' configurations."""
        return {name: self.function(name) for name in FUNCTIONS[self.kind]}

    @cached_property
    def alarms(self) -> dict[str, dict[str, Any]]:
        """The stack's alarms, by logical id."""
        names = {
            self.stack.resources[logical_id]: logical_id
            for logical_id, kind in planned(self.deployment)
            if kind == "AWS::CloudWatch::Alarm"
        }
        found = self.stack.client("cloudwatch").describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        return {names[alarm["AlarmName"]]: alarm for alarm in found}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = CustomerKeys.fresh()
    customer = Customer(APP_ID, keys.app_key, keys.public_key, frozenset({PAGE}), frozenset({f"{PAGE}/"}))
    simulator = Simulator(customer)
    with aws(tmp_path_factory.mktemp("moto")) as running, Server(simulator) as platform:
        bundle = BytesIO()
        ZipFile(bundle, "w").close()
        bucket = running.client("s3", "us-east-1")
        bucket.create_bucket(Bucket="bundles")
        bucket.put_object(Bucket="bundles", Key="bundle.zip", Body=bundle.getvalue())
        yield World(running, keys, platform.url, simulator.public_key)


def make(world: World, kind: str, region: str, log: Path) -> Deployed:
    parameters = world.parameters(region)
    if kind == "everything":
        parameters |= world.everything(region)
    deployment = plan(parameters, Pseudo(region, ACCOUNT_ID, f"nv-{kind}"))
    return Deployed(kind, deployment, parameters, deploy(world.aws, deployment), log)


Stacks = Callable[[str, str], Deployed]


@pytest.fixture(scope="module")
def stacks(world: World, tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """Give the stack of a kind, in a region of its own."""

    @cache
    def of(kind: str, region: str) -> Deployed:
        return make(world, kind, region, tmp_path_factory.mktemp(kind) / "log")

    return of


@pytest.fixture(scope="module", params=[f"{kind} in {region}" for kind, region in STACKS])
def deployed(request: pytest.FixtureRequest, stacks: Stacks) -> Deployed:
    """Give the stacks of a first deployment and those with all switches on, in both partitions."""
    kind, _, region = request.param.partition(" in ")
    return stacks(kind, region)


@pytest.fixture(scope="module", params=[region for kind, region in STACKS if kind == "everything"])
def everything(request: pytest.FixtureRequest, stacks: Stacks) -> Deployed:
    """Give those with all switches on."""
    return stacks("everything", request.param)


# --- What is made ------------------------------------------------------------------------------------


def test_what_moto_cannot_make_by_itself_is_known() -> None:
    """Shrinks when moto learns: a type that it has by then is to be made by it."""
    motos_own = get_model_map().keys()
    needed = {resource["Type"] for resource in plan(NEEDED).document["Resources"].values()}

    assert needed - motos_own == LACKING | LEFT_OUT
    assert MADE_HERE - motos_own == LACKING


def test_the_change_set_shows_what_is_planned_and_that_is_made(deployed: Deployed) -> None:
    made = {line for line in planned(deployed.deployment) if line[1] not in LEFT_OUT}

    assert set(deployed.stack.changes) == {Change("Add", *line) for line in made}
    assert set(deployed.stack.resources) == {logical_id for logical_id, _ in made}


def test_every_output_says_something_of_this_stack(deployed: Deployed) -> None:
    stack, outputs = deployed.stack, deployed.stack.outputs
    base = outputs["ApiUrl"]
    assert not [value for value in outputs.values() if "$" in value or "None" in value]

    suffix = "amazonaws.com.cn" if stack.region.startswith("cn-") else "amazonaws.com"
    api_id = stack.resources["NumberVerificationApi"]
    always = {
        "PreSignUrl": f"{base}/presign",
        "VerifyUrl": f"{base}/verify",
        "PageAppId": APP_ID,
        "PageOrigins": PAGE,
        "PlatformUrl": "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm",
        "AttemptsTableName": stack.resources["AttemptsTable"],
        "PepperSecretArn": stack.resources["PepperSecret"],
    }
    assert always.items() <= outputs.items()
    assert outputs["DashboardUrl"].endswith(stack.resources["Watching"])
    more = outputs.keys() - always.keys() - {"ApiUrl", "DashboardUrl"}
    if deployed.kind == "default":
        assert (base, more) == (f"https://{api_id}.execute-api.{stack.region}.{suffix}", set())
    else:
        assert base == f"https://{DOMAIN}"
        assert more == {"ReceiptKeysUrl", "DomainTarget", "EgressAddresses", "AlarmTopic"}
        assert outputs["ReceiptKeysUrl"] == f"{base}/.well-known/jwks.json"
        assert outputs["AlarmTopic"] == stack.resources["AlarmEmailTopic"]


# --- What is kept ------------------------------------------------------------------------------------


def test_the_table_keeps_attempts_for_as_long_as_they_count(deployed: Deployed) -> None:
    client, name = deployed.stack.client("dynamodb"), deployed.stack.outputs["AttemptsTableName"]
    table = client.describe_table(TableName=name)["Table"]

    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    life = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert life == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiration"}
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert table["SSEDescription"]["SSEType"] == "KMS"
    key = deployed.parameters.get("DataKmsKeyArn")
    assert key is None or table["SSEDescription"]["KMSMasterKeyArn"] == key


def test_the_pepper_is_long_and_random(deployed: Deployed) -> None:
    client, arn = deployed.stack.client("secretsmanager"), deployed.stack.outputs["PepperSecretArn"]

    assert re.fullmatch("[A-Za-z0-9]{64}", client.get_secret_value(SecretId=arn)["SecretString"])

    assert client.describe_secret(SecretId=arn).get("KmsKeyId") == deployed.parameters.get("DataKmsKeyArn")


def test_each_function_and_the_api_log_to_a_group_that_forgets(deployed: Deployed) -> None:
    client, resources = deployed.stack.client("logs"), deployed.stack.resources
    groups = {
        name: client.describe_log_groups(logGroupNamePrefix=resources[f"{name}LogGroup"])["logGroups"][0]
        for name in (*FUNCTIONS[deployed.kind], "Api")
    }

    for group in groups.values():
        assert group["retentionInDays"] == 180
        assert group.get("kmsKeyId") == deployed.parameters.get("DataKmsKeyArn")
    for name in deployed.functions:
        # Moto does not keep it.
        written = deployed.stack.template["Resources"][f"{name}Function"]["Properties"]
        assert written["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}
    (stage,) = deployed.stack.client("apigatewayv2").get_stages(ApiId=resources["NumberVerificationApi"])[
        "Items"
    ]
    assert stage["AccessLogSettings"]["DestinationArn"] == groups["Api"]["arn"]


# --- Who may do what ---------------------------------------------------------------------------------


def policies(stack: Stack, role: str) -> list[dict[str, Any]]:
    """Read all policies of a role."""
    client = stack.client("iam")
    assert not client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    names = client.list_role_policies(RoleName=role)["PolicyNames"]
    return [client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_what_a_role_names_is_this_stacks_or_the_operators(deployed: Deployed) -> None:
    resources, parameters = deployed.stack.resources, deployed.parameters
    functions = [function["FunctionArn"] for function in deployed.functions.values()]
    groups = deployed.stack.client("logs").describe_log_groups(logGroupNamePrefix=deployed.stack.name)
    partition = functions[0].split(":")[1]
    known = {
        *(parameters[name] for name in parameters if name.endswith("Arn")),
        resources["PepperSecret"],
        deployed.stack.client("dynamodb").describe_table(TableName=resources["AttemptsTable"])["Table"][
            "TableArn"
        ],
        *(group["arn"] for group in groups["logGroups"]),
        *functions,
        *(f"{arn}:*" for arn in functions),
        f"arn:{partition}:ec2:{deployed.place}:*/*",  # network interfaces that are not there yet
    }
    roles = [resources[name] for name, kind in planned(deployed.deployment) if kind == "AWS::IAM::Role"]
    everywhere: set[str] = set()

    every = (policy for role in roles for policy in policies(deployed.stack, role))
    for statement in (statement for policy in every for statement in policy["Statement"]):
        if statement["Resource"] == "*":
            everywhere |= {f"{statement['Effect']} {action}" for action in as_list(statement["Action"])}
        else:
            assert set(as_list(statement["Resource"])) <= known, statement["Sid"]

    assert everywhere - {"Allow xray:PutTraceSegments", "Allow xray:PutTelemetryRecords"} == (
        set()
        if deployed.kind == "default"
        else {
            "Allow ec2:DescribeNetworkInterfaces",
            "Allow ec2:DescribeSubnets",
            "Deny ec2:*",
            "Allow cloudwatch:DescribeAlarms",
        }
    )


def test_only_the_api_calls_the_functions_and_each_by_its_route(deployed: Deployed) -> None:
    client, api_id = deployed.stack.client("lambda"), deployed.stack.resources["NumberVerificationApi"]

    for name, function in deployed.functions.items():
        policy = json.loads(client.get_policy(FunctionName=function["FunctionName"])["Policy"])
        partition = function["FunctionArn"].split(":")[1]
        route = ROUTES[name].replace(" ", "")
        callers = {
            (statement["Principal"]["Service"], statement["Condition"]["ArnLike"]["AWS:SourceArn"])
            for statement in policy["Statement"]
        }
        assert callers == {
            (
                "apigateway.amazonaws.com",
                f"arn:{partition}:execute-api:{deployed.place}:{api_id}/*/{route}",
            )
        }


# --- Watching ----------------------------------------------------------------------------------------


def metrics_of(alarm: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give namespace, name and dimensions of each metric that an alarm looks at."""
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
    for metric in queries or [alarm]:
        dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        yield metric["Namespace"], metric["MetricName"], dimensions


def metrics_on(body: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give the same of a dashboard; a dot repeats what stands above it."""
    for widget in body["widgets"]:
        above: list[str] = []
        for line in widget["properties"].get("metrics", ()):
            words = [word for word in line if isinstance(word, str)]
            words = [above[place] if word == "." else word for place, word in enumerate(words)]
            above = words
            yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))


def check_metric(deployed: Deployed, namespace: str, name: str, dimensions: Mapping[str, str]) -> None:
    """Hold a metric against what the product writes, and its dimensions against what there is."""
    own = {metric.value for metric in Metric}
    own |= {problem.code.title().replace("_", "") for problem in Problem}
    assert name in {"NumberVerification": own, **AWSS_METRICS}[namespace]

    resources, functions = deployed.stack.resources, deployed.functions.values()
    services = {each["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for each in functions}
    names = {each["FunctionName"] for each in functions}
    there = {
        "service": services,
        "FunctionName": names,
        "Resource": {f"{name}:live" for name in names},
        "ExecutedVersion": {"1"},
        "TableName": {resources["AttemptsTable"]},
        "ApiId": {resources["NumberVerificationApi"]},
        "Stage": {"$default"},
        "Operation": {"PutItem", "UpdateItem", "DeleteItem"},
    }
    assert dimensions
    for dimension, value in dimensions.items():
        assert value in there[dimension], (name, dimension)


def test_every_alarm_watches_something_of_this_stack_and_tells_the_operator(deployed: Deployed) -> None:
    alarms = deployed.alarms
    topic = [deployed.stack.outputs["AlarmTopic"]] if deployed.kind == "everything" else []

    assert {"OperatorFaultAlarm", "InternalErrorsAlarm", "TableThrottlesAlarm"} <= alarms.keys()
    assert ("VerifyReleaseAlarm" in alarms) == (deployed.kind == "everything")
    for logical_id, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == topic
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"].endswith(f"docs/runbook.md, {logical_id}.")
        for metric in metrics_of(alarm):
            check_metric(deployed, *metric)


def test_the_operator_is_written_to(everything: Deployed) -> None:
    client = everything.stack.client("sns")
    topic = everything.stack.outputs["AlarmTopic"]

    (subscription,) = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "operator@abc.com")
    attributes = client.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["KmsMasterKeyId"] == everything.parameters["DataKmsKeyArn"]


def test_the_dashboard_shows_what_there_is(deployed: Deployed) -> None:
    client = deployed.stack.client("cloudwatch")
    (name,) = (entry["DashboardName"] for entry in client.list_dashboards()["DashboardEntries"])
    body = json.loads(client.get_dashboard(DashboardName=name)["DashboardBody"])

    shown = list(metrics_on(body))
    assert len(shown) > 20
    for metric in shown:
        check_metric(deployed, *metric)
    (alarms,) = (each["properties"]["alarms"] for each in body["widgets"] if each["type"] == "alarm")
    assert set(alarms) == {alarm["AlarmArn"] for alarm in deployed.alarms.values()}
    regions = {each["properties"]["region"] for each in body["widgets"] if each["type"] == "metric"}
    assert regions == {deployed.stack.region}
    assert ("ReceiptIssued" in {name for _, name, _ in shown}) == (deployed.kind == "everything")


# --- The way in and the way out ----------------------------------------------------------------------


def test_the_api_admits_the_page_and_no_more_than_the_throttle(deployed: Deployed) -> None:
    client, api_id = deployed.stack.client("apigatewayv2"), deployed.stack.resources["NumberVerificationApi"]
    api = client.get_api(ApiId=api_id)
    (stage,) = client.get_stages(ApiId=api_id)["Items"]

    assert api["CorsConfiguration"]["AllowOrigins"] == [PAGE]
    assert api["CorsConfiguration"]["AllowMethods"] == ["POST"]
    assert api["DisableExecuteApiEndpoint"] is (deployed.kind == "everything")
    throttle = stage["DefaultRouteSettings"]
    assert (throttle["ThrottlingRateLimit"], throttle["ThrottlingBurstLimit"]) == (100, 200)
    assert {route["RouteKey"] for route in client.get_routes(ApiId=api_id)["Items"]} == {
        ROUTES[name] for name in FUNCTIONS[deployed.kind]
    }


def test_the_domain_leads_to_the_api(everything: Deployed) -> None:
    client = everything.stack.client("apigatewayv2")

    (mapping,) = client.get_api_mappings(DomainName=DOMAIN)["Items"]

    assert (mapping["ApiId"], mapping["Stage"]) == (
        everything.stack.resources["NumberVerificationApi"],
        "$default",
    )
    (configuration,) = client.get_domain_name(DomainName=DOMAIN)["DomainNameConfigurations"]
    assert configuration["CertificateArn"] == everything.parameters["CertificateArn"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"


def test_verifications_go_out_by_the_addresses_that_are_told(everything: Deployed) -> None:
    client, verify = everything.stack.client("ec2"), everything.functions["Verify"]["VpcConfig"]
    subnets = client.describe_subnets(SubnetIds=verify["SubnetIds"])["Subnets"]
    addresses, zones = set(), set()

    for subnet in subnets:
        (gateway,) = gateways_of(client, subnet)
        (nat,) = client.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
        (public,) = client.describe_subnets(SubnetIds=[nat["SubnetId"]])["Subnets"]
        assert [each[:4] for each in gateways_of(client, public)] == ["igw-"]
        assert public["AvailabilityZone"] == subnet["AvailabilityZone"]
        addresses |= {each["PublicIp"] for each in nat["NatGatewayAddresses"]}
        zones.add(subnet["AvailabilityZone"])

    assert ",".join(sorted(addresses)) == ",".join(
        sorted(everything.stack.outputs["EgressAddresses"].split(","))
    )
    assert (len(addresses), len(zones)) == (2, 2)
    (group,) = client.describe_security_groups(GroupIds=verify["SecurityGroupIds"])["SecurityGroups"]
    ports = {(rule.get("FromPort"), rule.get("ToPort")) for rule in group["IpPermissionsEgress"]}
    assert ports == {(443, 443), (80, 80)}  # the test line is plain HTTP
    assert not group["IpPermissions"]  # nothing comes in
    for name in FUNCTIONS["everything"] - {"Verify"}:
        assert not everything.functions[name].get("VpcConfig", {}).get("SubnetIds")


def gateways_of(client: Any, subnet: Mapping[str, Any]) -> list[str]:
    """Give where a subnet's packets for the internet go."""
    (table,) = client.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}]
    )["RouteTables"]
    return [
        route.get("NatGatewayId") or route["GatewayId"]
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == "0.0.0.0/0"
    ]


def test_what_does_not_leave_aws_takes_its_own_doors(everything: Deployed) -> None:
    client, resources = everything.stack.client("ec2"), everything.stack.resources
    endpoints = client.describe_vpc_endpoints()["VpcEndpoints"]
    doors = {each["ServiceName"].rpartition(".")[2]: each for each in endpoints}

    assert doors.keys() == {"dynamodb", "secretsmanager"}
    assert {each["VpcId"] for each in endpoints} == {resources["EgressVpc"]}
    verify = everything.functions["Verify"]["VpcConfig"]["SubnetIds"]
    assert set(doors["secretsmanager"]["SubnetIds"]) == set(verify)
    assert doors["secretsmanager"]["PrivateDnsEnabled"]
    (statement,) = json.loads(doors["dynamodb"]["PolicyDocument"])["Statement"]
    assert statement["Resource"].endswith(f":{everything.place}:table/{resources['AttemptsTable']}")
    (statement,) = json.loads(doors["secretsmanager"]["PolicyDocument"])["Statement"]
    variables = everything.functions["Verify"]["Environment"]["Variables"]
    assert set(statement["Resource"]) == {
        value for name, value in variables.items() if name.endswith("_SECRET_ID")
    }


# --- Releases ----------------------------------------------------------------------------------------


def test_the_api_calls_the_release(everything: Deployed) -> None:
    client = everything.stack.client("lambda")

    for name, function in everything.functions.items():
        alias = client.get_alias(FunctionName=function["FunctionName"], Name="live")
        version = client.get_function_configuration(FunctionName=alias["AliasArn"])
        assert version["Version"] == alias["FunctionVersion"] != "$LATEST"
        assert version["Environment"] == function["Environment"]
        assert function["Description"].endswith(f"Release {RELEASE}.")
        assert everything.stack.resources[f"{name}Alias"] == alias["AliasArn"]


def test_a_shift_is_taken_back_by_alarms_that_there_are(everything: Deployed) -> None:
    client, resources = everything.stack.client("codedeploy"), everything.stack.resources
    role = everything.stack.client("iam").get_role(RoleName=resources["ReleaseRole"])["Role"]["Arn"]

    for name in ("PreSign", "Verify"):
        group = client.get_deployment_group(
            applicationName=resources["ReleaseShifts"], deploymentGroupName=resources[f"{name}Shift"]
        )["deploymentGroupInfo"]
        # Moto does not tell it.
        written = everything.stack.template["Resources"][f"{name}Shift"]["Properties"]
        assert written["AlarmConfiguration"] == {
            "Enabled": True,
            "Alarms": [{"Name": {"Ref": f"{name}ReleaseAlarm"}}],
        }
        assert f"{name}ReleaseAlarm" in everything.alarms
        assert group["deploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert group["serviceRoleArn"] == role


# --- It works ----------------------------------------------------------------------------------------


def test_the_functions_are_told_what_there_is(deployed: Deployed) -> None:
    outputs, parameters = deployed.stack.outputs, deployed.parameters
    told = {name: each["Environment"]["Variables"] for name, each in deployed.functions.items()}
    verify = told["Verify"]

    assert verify["TABLE_NAME"] == outputs["AttemptsTableName"]
    assert verify["PEPPER_SECRET_ID"] == outputs["PepperSecretArn"]
    assert verify["VERIFICATION_SECRET_ID"] == parameters["VerificationSecretArn"]
    assert verify["PLATFORM_URL"] == outputs["PlatformUrl"]
    for each in (told["PreSign"], verify):
        assert each["SIGNING_SECRET_ID"] == parameters["SigningSecretArn"]
        assert (each["APP_ID"], each["ALLOWED_ORIGINS"]) == (outputs["PageAppId"], outputs["PageOrigins"])
    for name in {"Verify", "ReceiptKeys"} if deployed.kind == "everything" else ():
        assert told[name]["RECEIPT_SECRET_ID"] == parameters["ReceiptSecretArn"]


@dataclass(frozen=True)
class Tried:
    """What came of a verification of the SIM's number and one of another."""

    served: Served
    right: Reply
    wrong: Reply
    keys: urllib3.BaseHTTPResponse


@pytest.fixture(scope="module")
def tried(deployed: Deployed, world: World, bundle: Path, python313: str) -> Iterator[Tried]:
    """Walk the guide's steps against the stack; the platform alone is another than the template's."""
    url = f"{world.platform}/NumberAbility/h5/verifyVmMobileApi.htm"
    with served(deployed.stack, bundle, python313, deployed.log, PLATFORM_URL=url) as api:
        phone = Phone(api=api.address, page=PAGE, platform=world.platform, app_id=APP_ID)
        right = phone.verify(phone.sim, phone.ticket(), nonce=NONCE)
        wrong = phone.verify(OTHER_NUMBER, phone.ticket())
        yield Tried(api, right, wrong, urllib3.request("GET", f"{api.address}/.well-known/jwks.json"))


def test_a_presign_is_signed_and_a_number_verified(tried: Tried) -> None:
    """There is no token, and so no verdict, unless the platform has found the signature right."""
    assert (tried.right.status, tried.right.json["resultCode"]) == (200, "000")
    assert (tried.wrong.status, tried.wrong.json["resultCode"]) == (200, "001")


def test_the_release_answers_where_there_is_one(deployed: Deployed, tried: Tried) -> None:
    called = {route: function.arn for route, function in tried.served.functions.items()}

    assert called == {
        ROUTES[name]: deployed.stack.resources[f"{name}Alias"]
        if deployed.kind == "everything"
        else function["FunctionArn"]
        for name, function in deployed.functions.items()
    }


def test_the_attempts_are_in_the_table_of_the_outputs(deployed: Deployed, tried: Tried) -> None:
    assert tried.right.json["attemptsLeft"] == 4

    items = deployed.stack.client("dynamodb").scan(TableName=deployed.stack.outputs["AttemptsTableName"])[
        "Items"
    ]

    counted = [len(item["attempts"]["SS"]) for item in items if "attempts" in item]
    assert counted == [1, 1]
    assert not leaks(json.dumps(items))


def test_a_receipt_is_good_by_the_keys_that_are_published(deployed: Deployed, tried: Tried) -> None:
    if deployed.kind == "default":
        assert "receipt" not in tried.right.json
        assert tried.keys.status == 404
        return
    receipt = tried.right.json["receipt"]
    header = jwt.get_unverified_header(receipt)
    key = jwt.PyJWKSet.from_json(tried.keys.data.decode())[header["kid"]]

    claims = jwt.decode(receipt, key.key, algorithms=["ES256"], audience=PAGE, issuer=f"https://{DOMAIN}")

    assert claims["phoneNumMasked"] == "139****4444"
    assert (claims["nonce"], claims["appId"]) == (NONCE, APP_ID)


def test_the_functions_roles_allow_what_the_functions_call(deployed: Deployed, tried: Tried) -> None:
    assert tried.right.status == 200
    table = deployed.stack.client("dynamodb").describe_table(
        TableName=deployed.stack.outputs["AttemptsTableName"]
    )["Table"]
    allowed = {
        function["FunctionName"]: policies(deployed.stack, function["Role"].rpartition("/")[2])
        for function in deployed.functions.values()
    }
    called = set()

    for call in deployed.stack.aws.calls():
        if call["caller"] not in allowed:
            continue  # the other stack's
        service, _, operation = call["target"].partition(".")
        action = f"{service.partition('_')[0].lower()}:{operation}"
        resource = table["TableArn"] if call["resource"] == table["TableName"] else call["resource"]
        (policy,) = allowed[call["caller"]]
        permission = IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)
        assert permission is PermissionResult.PERMITTED, call
        called.add(action)

    assert called == {
        "secretsmanager:GetSecretValue",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }


def test_alarms_look_where_the_functions_write(deployed: Deployed, tried: Tried) -> None:
    assert tried.right.status == 200
    lines = [json.loads(line) for line in deployed.log.read_text().splitlines() if line.startswith("{")]
    written = {
        (each["Namespace"], metric["Name"], line["service"])
        for line in lines
        for each in line.get("_aws", {}).get("CloudWatchMetrics", ())
        for metric in each["Metrics"]
        if each["Dimensions"] == [["service"]]
    }

    watched = {
        (namespace, name, dimensions["service"])
        for alarm in deployed.alarms.values()
        for namespace, name, dimensions in metrics_of(alarm)
        if "service" in dimensions
    }

    assert ("NumberVerification", "PlatformLatency", f"{deployed.stack.name}-verify") in written & watched
    assert {service for _, _, service in watched} <= {service for _, _, service in written}
    assert not leaks(deployed.log.read_text())


# --- An update ---------------------------------------------------------------------------------------


def update(deployed: Deployed, **parameters: str) -> Deployment:
    """Give the plan of a stack with other parameters."""
    return plan({**deployed.parameters, **parameters}, deployed.deployment.pseudo)


def test_settings_are_changed_in_place(world: World, tmp_path: Path) -> None:
    before = make(world, "default", "eu-north-1", tmp_path / "log")

    after = deploy(world.aws, update(before, DailyAttemptLimit="3", LogRetentionDays="30"))

    assert set(after.changes) == {
        Change("Modify", "VerifyFunction", "AWS::Lambda::Function"),
        Change("Modify", "ApiLogGroup", "AWS::Logs::LogGroup"),
        Change("Modify", "PreSignLogGroup", "AWS::Logs::LogGroup"),
        Change("Modify", "VerifyLogGroup", "AWS::Logs::LogGroup"),
    }
    assert not replaced(before.stack.template, after.template)
    assert (after.resources, after.outputs) == (before.stack.resources, before.stack.outputs)
    verify = after.client("lambda").get_function_configuration(
        FunctionName=after.resources["VerifyFunction"]
    )["Environment"]["Variables"]
    assert verify == before.functions["Verify"]["Environment"]["Variables"] | {"DAILY_ATTEMPT_LIMIT": "3"}
    groups = after.client("logs").describe_log_groups(logGroupNamePrefix=after.name)["logGroups"]
    assert {group["retentionInDays"] for group in groups} == {30}


def test_what_has_been_spent_outlives_the_stack(world: World, tmp_path: Path) -> None:
    stack = make(world, "default", "ap-southeast-1", tmp_path / "log").stack
    table, pepper = stack.outputs["AttemptsTableName"], stack.outputs["PepperSecretArn"]

    stack.client("cloudformation").delete_stack(StackName=stack.name)

    assert not stack.client("lambda").list_functions()["Functions"]
    assert not stack.client("logs").describe_log_groups()["logGroups"]
    assert stack.client("dynamodb").list_tables()["TableNames"] == [table]
    assert stack.client("secretsmanager").get_secret_value(SecretId=pepper)["SecretString"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"Release": "2026-12-01"}, {"PreSignVersion", "VerifyVersion", "ReceiptKeysVersion"}),
        ({"DataKmsKeyArn": "", "SecretsKmsKeyArn": ""}, set()),
        ({"ReceiptNumber": "hash", "PlatformDeadline": "5", "MemorySize": "512"}, set()),
        ({"AlarmEmail": "another@abc.com", "ThrottleRate": "50", "Tracing": "PassThrough"}, set()),
    ],
    ids=["another release", "other keys", "another service", "other limits"],
)
def test_a_deployment_replaces_versions_at_most(
    stacks: Stacks, parameters: dict[str, str], expected: set[str]
) -> None:
    deployed = stacks("everything", "cn-north-1")

    template = settled(update(deployed, **parameters))

    assert template["Resources"].keys() == deployed.stack.template["Resources"].keys()
    assert replaced(deployed.stack.template, template) == expected


def replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Give the resources of which a property is changed that CloudFormation can change by a new one only."""
    changed = {
        logical_id: {
            name
            for name in was["Properties"].keys() | after["Resources"][logical_id]["Properties"].keys()
            if was["Properties"].get(name) != after["Resources"][logical_id]["Properties"].get(name)
        }
        for logical_id, was in before["Resources"].items()
        if logical_id in after["Resources"]
    }
    assert any(changed.values())
    kinds = {logical_id: each["Type"] for logical_id, each in before["Resources"].items()}
    fixed = create_only(frozenset(kinds.values()))
    return {logical_id for logical_id, names in changed.items() if names & fixed[kinds[logical_id]]}


@cache
def create_only(kinds: frozenset[str]) -> dict[str, set[str]]:
    """Ask AWS's own descriptions of resources, which cfn-lint has, for what is given at creation only."""
    run = subprocess.run(
        [str(ROOT / ".venv-sam" / "bin" / "python"), "-c", CREATE_ONLY, *kinds],
        capture_output=True,
        text=True,
        check=True,
    )
    return {kind: set(names) for kind, names in json.loads(run.stdout).items()}
