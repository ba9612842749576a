"""What AWS takes and no schema says: characters, lengths, what fails in use. Data, and findings in templates.

Sources are AWS's API references, beside each row; a path's `*` is any member, `[]` every item.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_IAM_NAME: Final = r"[\w+=,.@-]{1,128}"
_OF_GROUPS: Final = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]"
_ANY: Final = r"[\s\S]"
_TAG: Final = r"[\w\s.:/=+@-]"

TEXTS: Final[tuple[tuple[str, str, str], ...]] = (
    # EC2, CreateSecurityGroup and IpRange
    ("AWS::EC2::SecurityGroup", "GroupDescription", _OF_GROUPS + "{1,255}"),
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress[].Description", _OF_GROUPS + "{0,255}"),
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress[].Description", _OF_GROUPS + "{0,255}"),
    # every service's tags; EC2's are the narrowest
    ("*", "Tags[].Key", _TAG + "{1,128}"),
    ("*", "Tags[].Value", _TAG + "{0,256}"),
    # IAM, PutRolePolicy, CreatePolicy; the description, in bytes at most 1,000, is of one policy's version
    ("AWS::IAM::Role", "Policies[].PolicyName", _IAM_NAME),
    ("AWS::IAM::Role", "Policies[].PolicyDocument.Statement[].Sid", r"[A-Za-z0-9]+"),
    ("AWS::IAM::ManagedPolicy", "Description", r"[\x20-\x7e]{0,1000}"),
    ("AWS::IAM::ManagedPolicy", "PolicyDocument.Statement[].Sid", r"[A-Za-z0-9]+"),
    # Lambda, CreateFunction, PublishVersion, CreateAlias, PublishLayerVersion
    ("AWS::Lambda::Function", "FunctionName", r"[a-zA-Z0-9-_]{1,64}"),
    ("AWS::Lambda::Function", "Description", _ANY + "{0,256}"),
    ("AWS::Lambda::Version", "Description", _ANY + "{0,256}"),
    ("AWS::Lambda::Alias", "Name", r"(?!^[0-9]+$)[a-zA-Z0-9-_]{1,128}"),
    ("AWS::Lambda::LayerVersion", "Description", _ANY + "{0,256}"),
    # CloudWatch, PutMetricAlarm, MetricDataQuery, Dimension
    ("AWS::CloudWatch::Alarm", "AlarmName", r"[\x20-\x7e]{1,255}"),
    ("AWS::CloudWatch::Alarm", "AlarmDescription", _ANY + "{0,1024}"),
    ("AWS::CloudWatch::Alarm", "Namespace", r"[^:][^:*$]{0,254}"),
    ("AWS::CloudWatch::Alarm", "MetricName", r"[\x20-\x7e]{1,255}"),
    ("AWS::CloudWatch::Alarm", "Dimensions[].Value", r"[\x20-\x7e]{1,1024}"),
    ("AWS::CloudWatch::Alarm", "Metrics[].Id", r"[a-z][a-zA-Z0-9_]{0,254}"),
    ("AWS::CloudWatch::Alarm", "Metrics[].Expression", _ANY + "{1,2048}"),
    # Logs, CreateLogGroup, PutMetricFilter, PutQueryDefinition
    ("AWS::Logs::LogGroup", "LogGroupName", r"[.\-_/#A-Za-z0-9]{1,512}"),
    ("AWS::Logs::MetricFilter", "FilterPattern", _ANY + "{0,1024}"),
    ("AWS::Logs::MetricFilter", "MetricTransformations[].MetricName", r"[^:*$]{1,255}"),
    ("AWS::Logs::MetricFilter", "MetricTransformations[].MetricNamespace", r"[^:*$]{1,255}"),
    ("AWS::Logs::QueryDefinition", "Name", _ANY + "{1,255}"),
    ("AWS::Logs::QueryDefinition", "QueryString", _ANY + "{1,10000}"),
    # Secrets Manager, CreateSecret; SNS, CreateTopic; API Gateway, CreateApi
    ("AWS::SecretsManager::Secret", "Description", _ANY + "{0,2048}"),
    ("AWS::SNS::Topic", "TopicName", r"[A-Za-z0-9_-]{1,256}"),
    ("AWS::ApiGatewayV2::Api", "Body.info.title", _ANY + "{1,128}"),
)  # fmt: skip


def texts(document: Mapping[str, Any]) -> Iterator[str]:
    """Find texts that their service refuses: a character, or too long."""
    for name, resource in document["Resources"].items():
        kind = _SERVERLESS.get(resource["Type"], resource["Type"])
        for wanted, path, pattern in TEXTS:
            if wanted not in {"*", kind}:
                continue
            for text in _at(resource.get("Properties", {}), path):
                if not re.fullmatch(pattern, str(text), re.ASCII if wanted != "*" else 0):
                    yield f"{name}.{path}: {text!r}"


_SERVERLESS: Final = {
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::LayerVersion": "AWS::Lambda::LayerVersion",
}


def _at(value: Any, path: str) -> Iterator[Any]:
    member, _, rest = path.partition(".")
    found = value.get(member.removesuffix("[]")) if isinstance(value, dict) else None
    if found is None:
        return
    for item in found if member.endswith("[]") else [found]:
        if rest:
            yield from _at(item, rest)
        else:
            yield item


def _of(document: Mapping[str, Any], kind: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and properties of each resource whose type begins so."""
    for name, resource in document["Resources"].items():
        if resource["Type"].startswith(kind):
            yield name, resource.get("Properties", {})


def outputs(document: Mapping[str, Any]) -> Iterator[str]:
    """Find outputs that CloudFormation refuses: their names, descriptions and exports."""
    for name, output in document.get("Outputs", {}).items():
        export = output.get("Export", {}).get("Name", "a")
        if (
            not re.fullmatch(r"[A-Za-z0-9]{1,255}", name)
            or len(output.get("Description", "").encode()) > 1024
            or not re.fullmatch(r"[A-Za-z0-9:-]{1,255}", export)
        ):
            yield name


def alarms_stuck_by_fill(document: Mapping[str, Any]) -> Iterator[str]:
    """Find alarms whose FILL makes the newest period, often still empty, a zero that keeps them in OK.

    Such an alarm has to look at more periods than have to be bad.
    """
    for name, alarm in _of(document, "AWS::CloudWatch::Alarm"):
        fills = any("FILL(" in metric.get("Expression", "") for metric in alarm.get("Metrics", ()))
        periods = alarm["EvaluationPeriods"]
        if fills and alarm.get("DatapointsToAlarm", periods) >= periods:
            yield name


def alarms_too_wide(document: Mapping[str, Any]) -> Iterator[str]:
    """Find alarms with more than ten metrics, or metric math that returns other than one value."""
    for name, alarm in _of(document, "AWS::CloudWatch::Alarm"):
        if metrics := alarm.get("Metrics", ()):
            looked_at = [each for each in metrics if "MetricStat" in each]
            returned = [each for each in metrics if each.get("ReturnData", True)]
            if len(looked_at) > 10 or len(returned) != 1:
                yield name


def left_behind(document: Mapping[str, Any]) -> Iterator[str]:
    """Find what a first deployment that fails leaves behind."""
    for name, resource in document["Resources"].items():
        if resource.get("DeletionPolicy") == "Retain" and resource["Type"] != "AWS::Lambda::Version":
            yield name


def access_logs_that_fill_the_policy(document: Mapping[str, Any]) -> Iterator[str]:
    """Find access logs under names that API Gateway adds to the account's log policy, of 5,120 characters."""
    for name, properties in _of(document):
        if settings := properties.get("AccessLogSettings"):
            group = settings["DestinationArn"].strip("<>").removesuffix(".Arn")
            written = document["Resources"].get(group, {}).get("Properties", {}).get("LogGroupName", "")
            if not written.startswith("/aws/vendedlogs/"):
                yield f"{name}: {written or 'a generated name'}"


def rights_that_leave_with_the_network(document: Mapping[str, Any]) -> Iterator[str]:
    """Find functions that Lambda could not take out of a VPC: the right to delete interfaces goes with it."""
    role = document["Resources"].get("VerifyRole")
    if role is not None and "ec2:DeleteNetworkInterface" not in str(role):
        yield "VerifyRole"


def log_levels_that_do_nothing(document: Mapping[str, Any]) -> Iterator[str]:
    """Find POWERTOOLS_LOG_LEVEL: Lambda's own level, which ApplicationLogLevel sets, stands above it."""
    for name, properties in _of(document):
        variables = properties.get("Environment", {}).get("Variables", {})
        logging = properties.get("LoggingConfig", {})
        if "POWERTOOLS_LOG_LEVEL" in variables and "ApplicationLogLevel" in logging:
            yield name


def what_china_refuses(document: Mapping[str, Any], region: str) -> Iterator[str]:
    """Find CompatibleArchitectures, which the regions of China refuse, and X-Ray, which they lack."""
    for name, properties in _of(document) if region.startswith("cn-") else ():
        traced = properties.get("Tracing", properties.get("TracingConfig", {}))
        if "CompatibleArchitectures" in properties or traced in ("Active", {"Mode": "Active"}):
            yield name


RULES: Final = (
    texts,
    outputs,
    alarms_stuck_by_fill,
    alarms_too_wide,
    left_behind,
    access_logs_that_fill_the_policy,
    rights_that_leave_with_the_network,
    log_levels_that_do_nothing,
)
RULES_OF_REGIONS: Final = (what_china_refuses,)
