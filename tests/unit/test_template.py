"""What the three templates promise operators and pages, and what AWS would refuse of them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from cmpassport.problems import Problem
from cmpassport.telemetry import Metric
from local import ROOT
from local.template import Pseudo, Template
from tests.support.aws_rules import RULES
from tests.support.templates import (
    ACCOUNT,
    APPLICATION,
    NETWORK,
    WATCHING,
    Made,
    all_made,
    asked,
    make,
    read,
    secret,
)

TEMPLATES: Final = {name: read(name) for name in (APPLICATION, NETWORK, WATCHING)}
RESOURCES: Final = TEMPLATES[APPLICATION]["Resources"]
PARAMETERS: Final = TEMPLATES[APPLICATION]["Parameters"]
REGION: Final = "cn-north-1"
ASKED: Final = asked(REGION)

FUNCTIONS: Final = ("PreSignFunction", "VerifyFunction", "ReceiptKeysFunction")
RECEIPTS: Final = {"ReceiptSecretArn": secret(REGION, "receipts")}
DOMAIN: Final = {
    "DomainName": "number.abc.com",
    "CertificateArn": f"arn:aws-cn:acm:{REGION}:{ACCOUNT}:certificate/a-1",
}
WATCHED: Final = make(TEMPLATES[WATCHING], {"Stack": "demo"}, REGION)


def application(**values: str) -> Made:
    """Evaluate the application's template for the answers of a first deployment and some more."""
    return make(TEMPLATES[APPLICATION], {**ASKED, **values}, REGION)


# --- What AWS takes and no schema says ------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything() -> list[tuple[str, Made]]:
    return list(all_made())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_aws_takes_every_template_with_every_switch(rule: Any, everything: list[tuple[str, Made]]) -> None:
    assert {(name, found) for name, made in everything for found in rule(made)} == set()


PROTECTED: Final = "AttemptsTable", "DeletionProtectionEnabled"
OF_AWS: Final = "NumberVerificationApi", "disableExecuteApiEndpoint"
THROTTLE: Final = "NumberVerificationApi", "DefaultRouteSettings"
THROTTLE_OF_KEYS: Final = "NumberVerificationApi", "GET /.well-known/jwks.json"
# What is answered, a resource's member, and its value.
SWITCHED: Final[list[tuple[dict[str, str], tuple[str, str], Any]]] = [
    ({}, PROTECTED, False),  # else a first deployment that fails could not be rolled back
    ({"TableProtection": "on"}, PROTECTED, True),
    ({}, OF_AWS, False),
    ({}, THROTTLE, {"ThrottlingRateLimit": "100", "ThrottlingBurstLimit": "200"}),
    (RECEIPTS, THROTTLE_OF_KEYS, {"ThrottlingRateLimit": 20, "ThrottlingBurstLimit": 40}),
    (DOMAIN, OF_AWS, False),
    ({**DOMAIN, "DefaultEndpoint": "off"}, OF_AWS, True),
    (DOMAIN, ("NumberVerificationApi", "ipAddressType"), "dualstack"),  # phones on mobile data have IPv6
    (DOMAIN, ("ApiDomain", "IpAddressType"), "dualstack"),
    ({**DOMAIN, "HostedZoneId": "Z0123"}, ("ApiDomainRecordOfIpv6", "Type"), "AAAA"),
]


@pytest.mark.parametrize(("answers", "member", "value"), SWITCHED)
def test_a_switch_turns_what_it_says(answers: dict[str, str], member: tuple[str, str], value: Any) -> None:
    resource, name = member

    written = json.dumps(application(**answers).document["Resources"][resource])

    assert f'"{name}": {json.dumps(value)}' in written


# --- Releases -------------------------------------------------------------------------------------------

SETTINGS: Final = {name: name.replace("Function", "Settings") for name in FUNCTIONS}
BEFORE: Final = {**RECEIPTS, **DOMAIN, "SubnetIds": "subnet-0a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"}
OF_EVERY_FUNCTION: Final = {"MemorySize": "512", "Architecture": "arm64", "Release": "2"}
CHANGES: Final = {
    "DailyAttemptLimit": "8",
    "ClientHourlyLimit": "600",
    "PlatformReadTimeout": "2",
    "AllowedOrigins": "https://m.abc.com",
    "AppId": "000341",
    "Line": "production",
    "SigningSecretArn": secret(REGION, "another"),
    "VerificationSecretArn": secret(REGION, "another"),
    "ReceiptSecretArn": secret(REGION, "another"),
    "ReceiptNumber": "masked",
    "DomainName": "another.abc.com",
    "SubnetIds": "subnet-4e5f6a7b",
    "SecurityGroupIds": "sg-4e5f6a7b",
    "SnapStart": "on",
    **OF_EVERY_FUNCTION,
}
# What is no part of a function's version, or moves its alias by itself.
OF_THE_API: Final = {"CertificateArn", "HostedZoneId", "DefaultEndpoint", "IpAddressType"}
OF_THE_STAGE: Final = {"ThrottleRate", "ThrottleBurst", "LogRetentionDays"}
OF_AN_ALIAS: Final = {"TrafficShift", "VerifyConcurrency"}
OF_THE_TABLE: Final = {"KmsKeyArn", "WarmWriteUnits", "TableProtection"}


def version_of(made: Made, function: str) -> str:
    """Return what a version is published by: its description, which names a policy, and that one's."""
    policy = made.resources("AWS::IAM::ManagedPolicy")[SETTINGS[function]]
    description: str = made.resources("AWS::Serverless::Function")[function]["VersionDescription"]
    return f"{description}: {policy['Description']}"


def settings_of(made: Made, function: str) -> str:
    """Return what Lambda keeps with a version, but for its description."""
    properties = made.resources("AWS::Serverless::Function")[function]
    return json.dumps({**properties, "Description": "", "VersionDescription": ""}, sort_keys=True)


@pytest.mark.parametrize("parameter", CHANGES)
def test_a_deployment_that_changes_a_setting_publishes_a_version(parameter: str) -> None:
    """Without one it would change nothing that runs."""
    before, after = application(**BEFORE), application(**{**BEFORE, parameter: CHANGES[parameter]})
    published = {each for each in FUNCTIONS if version_of(before, each) != version_of(after, each)}
    changed = {each for each in FUNCTIONS if settings_of(before, each) != settings_of(after, each)}

    assert published
    assert published >= (set(FUNCTIONS) if parameter in OF_EVERY_FUNCTION else changed)


def test_every_parameter_is_among_the_changes_or_elsewhere() -> None:
    elsewhere = OF_THE_API | OF_THE_STAGE | OF_AN_ALIAS | OF_THE_TABLE

    assert CHANGES.keys() | elsewhere == PARAMETERS.keys()


def test_the_version_before_keeps_its_secrets_while_traffic_shifts() -> None:
    """The right is in the policy that another secret replaces, not in the role, which changes at once."""
    for policy in SETTINGS.values():
        assert "SecretArn" in json.dumps(RESOURCES[policy]["Properties"]["PolicyDocument"])
        assert "SecretArn" not in json.dumps(RESOURCES[policy.replace("Settings", "Role")])


def test_a_plain_deployment_has_no_codedeploy_and_a_shift_is_taken_back_by_alarms() -> None:
    plain, shifted = application(), application(TrafficShift="Canary10Percent5Minutes")

    assert not plain.resources("AWS::CloudWatch::Alarm")
    for name in ("PreSign", "Verify"):
        before, after = (
            made.resources("AWS::Serverless::Function")[f"{name}Function"]["DeploymentPreference"]
            for made in (plain, shifted)
        )
        assert not before["Enabled"]
        assert (after["Enabled"], after["Alarms"]) == (True, [f"<{name}ReleaseAlarm>"])


MATH: Final = {
    "IF": lambda holds, then, other: then if holds else other,
    "SUM": sum,
    "FILL": lambda each, _: each,
}
GOOD_MINUTE: Final = {"calls": 30, "failed": 0, "unexpected": 0, "refused": 0}


def fires(alarm: Mapping[str, Any], minutes: Sequence[Mapping[str, int]]) -> bool:
    """Evaluate an alarm of metric math, whose expressions are Python's too, for the last minutes."""
    expressions = {each["Id"]: each["Expression"] for each in alarm["Metrics"] if "Expression" in each}
    shown, bad = next(each["Id"] for each in alarm["Metrics"] if each.get("ReturnData", True)), 0
    for minute in minutes[-alarm["EvaluationPeriods"] :]:
        inner = {name: eval(text, MATH, minute) for name, text in expressions.items() if name != shown}  # noqa: S307
        bad += eval(expressions[shown], MATH, {**minute, **inner}) >= alarm["Threshold"]  # noqa: S307
    return bool(bad >= alarm["DatapointsToAlarm"])


@pytest.mark.parametrize("member", ["failed", "unexpected", "refused"])
def test_a_bad_release_is_taken_back_and_not_by_one_request(member: str) -> None:
    alarms = application(TrafficShift="Canary10Percent5Minutes").resources("AWS::CloudWatch::Alarm")
    names = ["VerifyReleaseAlarm"] if member == "refused" else ["VerifyReleaseAlarm", "PreSignReleaseAlarm"]
    a_tenth_fails, a_fifth_of_it_fails, one, burst, flood = (
        {**GOOD_MINUTE, "calls": calls, member: bad}
        for calls, bad in ((30, 3), (1000, 20), (1, 1), (60, 30), (1000, 19))
    )

    for name in names:
        for bad in (a_tenth_fails, a_fifth_of_it_fails):
            assert fires(alarms[name], [GOOD_MINUTE] * 3 + [bad] * 2)
        for harmless in ([one] * 5, [burst, *[GOOD_MINUTE] * 4], [flood] * 5):
            assert not fires(alarms[name], harmless)


# --- Parameters -----------------------------------------------------------------------------------------

# Parameter, values that are taken, values that are refused.
VALUES: Final = {
    "AppId": (["000340", "300012345678"], ["", "1234567", "00034O", "3000123456789"]),
    "AllowedOrigins": (
        [
            *("https://www.abc.com", "https://a-b.xn--fiqs8s.cn:8443", "http://127.0.0.1:8080"),
            "http://www.abc.com:443",  # https's port, so http has to name it
        ],
        [
            "https://www.abc.com/",  # the guide: no trailing slash
            "https://中国.cn",  # browsers send punycode
            *("https://www.abc.com:443", "http://www.abc.com:80"),  # browsers leave the scheme's own port out
            *("https://*.abc.com", "https://WWW.abc.com", "www.abc.com", "null", "https://www..abc.com"),
            *("https://-abc.com", "https://www.abc.com:0443", "https://user@www.abc.com"),
            "https://www.abc.com\n",
        ],
    ),
    "SigningSecretArn": (
        [secret("cn-north-1", "signing"), secret("eu-central-1", "signing")],
        ["", "number-verification/signing", secret(REGION, "signing")[:-6] + "*"],
    ),
    "ReceiptSecretArn": (["", secret("cn-north-1", "a")], ["number-verification/receipts"]),
    "DomainName": (
        ["", "number.abc.com", "a.cn"],
        ["https://a.cn", "number.abc.com/", "Number.abc.com", "*.abc.com", "localhost"],
    ),
    "SubnetIds": (
        ["", "subnet-0a1b2c3d,subnet-0123456789abcdef0"],
        ["subnet-0a1b2c3d, subnet-4e5f6a7b", "default"],
    ),
    "Release": (["2026-11-24", "v1.2-14-g3f2a91c-dirty", "r" * 64], ["", "release 2", "-1", "r" * 65]),
    "WarmWriteUnits": (["0", "4000", "120000"], ["1", "3999", "-1"]),
}


@pytest.mark.parametrize("parameter", VALUES)
def test_a_parameter_takes_what_it_is_for_and_nothing_else(parameter: str) -> None:
    good, bad = VALUES[parameter]

    # As CloudFormation matches, the whole value.
    allowed = re.compile(PARAMETERS[parameter]["AllowedPattern"]).fullmatch
    assert [value for value in (*good, *bad) if allowed(value)] == good


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_parameter_is_described_bounded_and_grouped(template: str) -> None:
    """That it is used, and its default allowed, cfn-lint sees."""
    groups = TEMPLATES[template]["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]

    assert sorted(grouped) == sorted(TEMPLATES[template]["Parameters"])
    for name, facts in TEMPLATES[template]["Parameters"].items():
        assert facts["Description"]
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & facts.keys(), name
        assert name in facts["ConstraintDescription"] or name == "AllowedOrigins"


def test_a_first_deployment_is_asked_five_things() -> None:
    needed = [name for name, facts in PARAMETERS.items() if "Default" not in facts]
    first, *_ = TEMPLATES[APPLICATION]["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert sorted(needed) == sorted(first["Parameters"]) == sorted(ASKED)
    assert re.findall(r'# "(\w+)=', (ROOT / "samconfig.toml").read_text()) == [*first["Parameters"]] * 2
    assert len(PARAMETERS) <= 30


# --- What goes together ---------------------------------------------------------------------------------

# What is answered, and what the refusal names beside it.
ALONE: Final = [
    (APPLICATION, {"SubnetIds": "subnet-0a1b2c3d"}, "SecurityGroupIds"),
    (APPLICATION, {"SecurityGroupIds": "sg-0a1b2c3d"}, "SubnetIds"),
    (APPLICATION, {"DomainName": DOMAIN["DomainName"]}, "CertificateArn"),
    (APPLICATION, {"CertificateArn": DOMAIN["CertificateArn"]}, "DomainName"),
    (APPLICATION, {"HostedZoneId": "Z0123"}, "DomainName"),
    (APPLICATION, {"DefaultEndpoint": "off"}, "DomainName"),
    (NETWORK, {"SecondAllocationId": "eipalloc-0a1b2c3d"}, "Addresses"),
    (NETWORK, {"FirstZone": "cn-north-1a"}, "SecondZone"),
    (NETWORK, {"FirstZone": "cn-north-1a", "SecondZone": "cn-north-1a"}, "different"),
    (WATCHING, {"AlarmEmail": "a@abc.com", "AlarmTopicArn": f"arn:aws-cn:sns:{REGION}:{ACCOUNT}:a"}, "one"),
]


def refusals(template: str, given: Mapping[str, str]) -> list[str]:
    """Evaluate the rules; return what CloudFormation would say of those that do not hold."""
    needed = ASKED if template == APPLICATION else {}
    deployment = Template(TEMPLATES[template]).deploy({**needed, **given}, Pseudo(REGION, ACCOUNT, "demo"))
    assertions = [item for rule in TEMPLATES[template]["Rules"].values() for item in rule["Assertions"]]
    return [item["AssertDescription"] for item in assertions if not deployment.evaluate(item["Assert"])]


@pytest.mark.parametrize(("template", "given", "beside"), ALONE)
def test_what_does_not_go_together_is_refused_by_name(
    template: str, given: dict[str, str], beside: str
) -> None:
    (refusal,) = refusals(template, given)

    assert [name for name in (*given, beside) if name not in refusal] == []


def test_every_switch_is_taken(everything: list[tuple[str, Made]]) -> None:
    assert [(name, made.values) for name, made in everything if refusals(name, made.values)] == []


MEMBERS: Final = ("status", "integrationLatency", "error")
# What the access log has of these for a request.
LOGGED: Final = {
    "a verdict": ("200", "212", "-"),
    "a preflight": ("204", "-", "-"),
    "a budget's 429": ("429", "31", "-"),
    "a function's 500": ("500", "15", "-"),
    "the throttle's 429": ("429", "-", "Too Many Requests"),
    "an unknown path": ("404", "-", "Not Found"),
    "a function that may not be called": ("500", "9", "Internal Server Error"),
    "Lambda's own throttle": ("503", "-", "Service Unavailable"),
}


def test_the_access_log_names_nobody_and_has_what_is_counted_from_it() -> None:
    line = RESOURCES["NumberVerificationApi"]["Properties"]["AccessLogSettings"]["Format"]

    assert not re.search(r"\$context\.(identity|http|domain)", line)
    assert all(f'"{name}":"$context.' in line for name in MEMBERS)


COUNTED: Final = {
    "RefusedByApiCount": {"the throttle's 429"},
    "ApiErrorsCount": {"a function that may not be called", "Lambda's own throttle"},
    "RefusedByApiQuery": LOGGED.keys() - {"a verdict", "a preflight", "a budget's 429", "a function's 500"},
}


def selected(condition: str) -> set[str]:
    """Evaluate comparisons with texts, joined by and, or: of a metric filter or of a saved query."""
    found = set()
    for what, values in LOGGED.items():
        line = dict(zip(MEMBERS, values, strict=True))
        compared = re.sub(
            r'(?:\$\.)?(\w+) (!?=) "([^"]*)"',
            lambda match, line=line: str(fnmatchcase(line[match[1]], match[3]) is (match[2] == "=")),  # type: ignore[misc]
            condition.strip("{ }").replace("&&", "and"),
        )
        if eval(compared):  # noqa: S307 - True and False are left of the template's own text
            found.add(what)
    return found


def test_what_the_api_itself_refuses_is_counted_from_the_access_log_in_sums() -> None:
    filters = WATCHED.resources("AWS::Logs::MetricFilter")
    query = WATCHED.resources("AWS::Logs::QueryDefinition")["RefusedByApiQuery"]["QueryString"]
    (of_query,) = re.findall(r"^filter (.*)$", query, re.MULTILINE)
    sums = {
        (alarm["Namespace"], alarm["MetricName"])
        for alarm in WATCHED.resources("AWS::CloudWatch::Alarm").values()
        if alarm.get("Statistic") == "Sum"
    }

    conditions = {name: each["FilterPattern"] for name, each in filters.items()}
    conditions["RefusedByApiQuery"] = of_query
    assert {name: selected(condition) for name, condition in conditions.items()} == COUNTED
    for each in filters.values():
        (counted,) = each["MetricTransformations"]
        assert each["LogGroupName"] == "/aws/vendedlogs/demo/api"
        assert (counted["MetricNamespace"], counted["MetricName"]) in sums


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_setting_is_set_that_is_not_read(function: str) -> None:
    package = ROOT / "functions" / RESOURCES[function]["Properties"]["Handler"].partition(".")[0]
    modules = [package / "settings.py", ROOT / "layers/crypto/cmpassport/settings.py"]
    read_there = re.findall(r'env, "([A-Z][A-Z_]+)"', "".join(module.read_text() for module in modules))
    told = RESOURCES[function]["Properties"]["Environment"]["Variables"]

    of_libraries = ("POWERTOOLS_", "AWS_")
    assert {name for name in told if not name.startswith(of_libraries)} <= {*read_there}


def test_each_functions_metrics_are_its_stacks_own() -> None:
    for function in application(**RECEIPTS).resources("AWS::Serverless::Function").values():
        assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == function["FunctionName"]
        assert function["FunctionName"].startswith("demo-")


def test_every_log_has_the_operators_key() -> None:
    key = f"arn:aws-cn:kms:{REGION}:{ACCOUNT}:key/a1"
    groups = application(KmsKeyArn=key).resources("AWS::Logs::LogGroup").values()

    assert [group["KmsKeyId"] for group in groups] == [key] * 4


@pytest.mark.parametrize("key", ["", f"arn:aws-cn:kms:{REGION}:{ACCOUNT}:key/a1"])
def test_roles_allow_this_stacks_own_and_nothing_else(key: str) -> None:
    """Resources are named; a star stands where AWS knows no resource, and for what nobody else may do."""
    made = application(**RECEIPTS, KmsKeyArn=key, TrafficShift="Canary10Percent5Minutes")
    policies = [
        *made.resources("AWS::IAM::ManagedPolicy").values(),
        *(each for role in made.resources("AWS::IAM::Role").values() for each in role["Policies"]),
    ]
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]

    of_any = {"SendTraces", "LetLambdaSeeTheVpc", "KeepTheCodeFromTheNetwork", "LookAtAlarms"}
    assert {each["Sid"] for each in statements if each["Resource"] == "*"} == of_any
    decrypting = {"DecryptTheSecrets", "DecryptThePepper", "DecryptTheTablesKey"} if key else set()
    assert {each["Sid"] for each in statements if "kms:Decrypt" in each["Action"]} == decrypting
    assert all(each["Condition"]["StringEquals"] for each in statements if each["Action"] == "kms:Decrypt")


def test_the_verification_calls_by_http_only_the_platform() -> None:
    group = TEMPLATES[NETWORK]["Resources"]["VerifySecurityGroup"]["Properties"]
    platform = urlsplit(TEMPLATES[APPLICATION]["Mappings"]["Lines"]["test"]["PlatformUrl"])

    assert "SecurityGroupIngress" not in group
    assert {each["FromPort"]: each["CidrIp"] for each in group["SecurityGroupEgress"]} == {
        443: "0.0.0.0/0",
        80: f"{platform.hostname}/32",
    }


def test_the_networks_outputs_are_the_applications_answers_and_its_addresses_stay() -> None:
    made = make(TEMPLATES[NETWORK], {"Addresses": "two"}, REGION).document
    outputs = {name: each["Value"] for name, each in made["Outputs"].items()}

    assert {"SubnetIds", "SecurityGroupIds"} <= outputs.keys() & PARAMETERS.keys()
    assert outputs["SubnetIds"] == "<PrivateSubnetA>,<PrivateSubnetB>"
    assert outputs["EgressAddresses"] == "<AddressA>,<AddressB>"
    for name in ("AddressA", "AddressB"):
        assert made["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_the_alarms_and_the_dashboard_look_at_what_the_application_is_named() -> None:
    made = application(**RECEIPTS)
    functions = made.resources("AWS::Serverless::Function").values()
    queries = WATCHED.resources("AWS::Logs::QueryDefinition").values()

    named = set(re.findall(r"demo-[a-z-]+", json.dumps(WATCHED.document)))
    assert named == {each["FunctionName"] for each in functions}
    assert {name for each in queries for name in each["LogGroupNames"]} == {
        each["LogGroupName"] for each in made.resources("AWS::Logs::LogGroup").values()
    }
    assert TEMPLATES[APPLICATION]["Outputs"]["AttemptsTableName"]["Export"]["Name"] == {
        "Fn::Sub": "${AWS::StackName}-AttemptsTable"
    }


def own_metrics() -> Iterator[str]:
    """Yield the code's metrics that alarms and the dashboard name."""
    shifted = application(TrafficShift="Canary10Percent5Minutes")
    for made in (WATCHED, shifted):
        text = json.dumps(made.resources("AWS::CloudWatch::Alarm"), sort_keys=True)
        yield from re.findall(r'"MetricName": "(\w+)", "Namespace": "NumberVerification"', text)
    (dashboard,) = WATCHED.resources("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        namespace = ""
        for first, name, *_ in widget["properties"].get("metrics", ()):
            namespace = namespace if first == "." else first
            if namespace == "NumberVerification":
                yield name


def test_metrics_and_log_lines_that_are_looked_at_are_written() -> None:
    code = "".join(
        path.read_text() for part in ("functions", "layers/crypto") for path in (ROOT / part).rglob("*.py")
    )
    written = {metric.value for metric in Metric} | {each.code.title().replace("_", "") for each in Problem}
    queries = json.dumps(WATCHED.resources("AWS::Logs::QueryDefinition"))
    messages = re.findall(r'\\"((?:the|an|a) [^"\\]+)\\"', queries)

    assert len(set(own_metrics())) > 20
    assert set(own_metrics()) <= written
    assert [message for message in messages if f'"{message}' not in code] == []


def test_each_alarm_is_on_the_dashboard_and_in_both_runbooks() -> None:
    (dashboard,) = WATCHED.resources("AWS::CloudWatch::Dashboard").values()
    alarms = {*WATCHED.resources("AWS::CloudWatch::Alarm"), "PreSignReleaseAlarm", "VerifyReleaseAlarm"}

    for name in alarms:
        assert name in dashboard["DashboardBody"]
        for page in ("runbook.md", "runbook.zh-CN.md"):
            assert f"\n### {name}\n" in (ROOT / "docs" / page).read_text(encoding="utf-8"), (page, name)


def test_no_output_has_a_parameters_name() -> None:
    """The SAM CLI's local commands confuse the two."""
    assert not TEMPLATES[APPLICATION]["Outputs"].keys() & PARAMETERS.keys()
