"""What AWS takes and no schema says: characters, lengths, what fails in use. Data, and findings in templates.

Sources are AWS's API references, beside each row; a path's `*` is any member, `[]` every item.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.support.templates import Made

# What no provider's schema has; cfn-lint holds the other lengths and characters (`make audit`).
_OF_GROUPS: Final = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}"
_PRINTABLE: Final = r"[\x20-\x7e]"

TEXTS: Final[tuple[tuple[str, str, str], ...]] = (
    # EC2, IpRange
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress[].Description", _OF_GROUPS),
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress[].Description", _OF_GROUPS),
    # every service's tags; EC2's are the narrowest
    ("*", "Tags[].Key", r"[\w\s.:/=+@-]{1,128}"),
    ("*", "Tags[].Value", r"[\w\s.:/=+@-]{0,256}"),
    # IAM, PutRolePolicy, CreatePolicy
    ("AWS::IAM::Role", "Policies[].PolicyName", r"[\w+=,.@-]{1,128}"),
    ("AWS::IAM::ManagedPolicy", "Description", _PRINTABLE + "{0,1000}"),
    # Lambda, CreateFunction, PublishVersion; cfn-lint passes over the texts of what SAM makes
    ("AWS::Serverless::Function", "FunctionName", r"[a-zA-Z0-9-_]{1,64}"),
    ("AWS::Serverless::Function", "Description", r"[\s\S]{0,256}"),
    ("AWS::Serverless::Function", "VersionDescription", r"[\s\S]{0,256}"),
    # CloudWatch, PutMetricAlarm, Dimension
    ("AWS::CloudWatch::Alarm", "AlarmName", _PRINTABLE + "{1,255}"),
    ("AWS::CloudWatch::Alarm", "MetricName", _PRINTABLE + "{1,255}"),
    ("AWS::CloudWatch::Alarm", "Dimensions[].Value", _PRINTABLE + "{1,1024}"),
)  # fmt: skip


def texts(made: Made) -> Iterator[str]:
    """Find texts that their service refuses: a character, or too long."""
    for name, resource in made.document["Resources"].items():
        for wanted, path, pattern in TEXTS:
            if wanted not in {"*", resource["Type"]}:
                continue
            for text in _at(resource.get("Properties", {}), path):
                if not re.fullmatch(pattern, str(text), re.ASCII if wanted != "*" else 0):
                    yield f"{name}.{path}: {text!r}"


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


def _of(made: Made, kind: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and properties of each resource whose type begins so."""
    for name, resource in made.document["Resources"].items():
        if resource["Type"].startswith(kind):
            yield name, resource.get("Properties", {})


def alarms_stuck_by_fill(made: Made) -> Iterator[str]:
    """Find alarms whose FILL makes the newest period, often still empty, a zero that keeps them in OK.

    Such an alarm has to look at more periods than have to be bad.
    """
    for name, alarm in _of(made, "AWS::CloudWatch::Alarm"):
        fills = any("FILL(" in metric.get("Expression", "") for metric in alarm.get("Metrics", ()))
        periods = alarm["EvaluationPeriods"]
        if fills and alarm.get("DatapointsToAlarm", periods) >= periods:
            yield name


def alarms_too_wide(made: Made) -> Iterator[str]:
    """Find alarms with more than ten metrics, or metric math that returns other than one value."""
    for name, alarm in _of(made, "AWS::CloudWatch::Alarm"):
        if metrics := alarm.get("Metrics", ()):
            looked_at = [each for each in metrics if "MetricStat" in each]
            returned = [each for each in metrics if each.get("ReturnData", True)]
            if len(looked_at) > 10 or len(returned) != 1:
                yield name


def left_behind(made: Made) -> Iterator[str]:
    """Find what a first deployment that fails leaves behind."""
    for name, resource in made.document["Resources"].items():
        if resource.get("DeletionPolicy") == "Retain" and resource["Type"] != "AWS::Lambda::Version":
            yield name


def access_logs_that_fill_the_policy(made: Made) -> Iterator[str]:
    """Find access logs under names that API Gateway adds to the account's log policy, of 5,120 characters."""
    for name, properties in _of(made):
        if settings := properties.get("AccessLogSettings"):
            group = settings["DestinationArn"].strip("<>").removesuffix(".Arn")
            written = made.document["Resources"].get(group, {}).get("Properties", {}).get("LogGroupName", "")
            if not written.startswith("/aws/vendedlogs/"):
                yield f"{name}: {written or 'a generated name'}"


def rights_that_leave_with_the_network(made: Made) -> Iterator[str]:
    """Find functions that Lambda could not take out of a VPC: the right to delete interfaces goes with it."""
    role = made.document["Resources"].get("VerifyRole")
    if role is not None and "ec2:DeleteNetworkInterface" not in str(role):
        yield "VerifyRole"


def what_china_refuses(made: Made) -> Iterator[str]:
    """Find CompatibleArchitectures, which the regions of China refuse, and X-Ray, which they lack."""
    for name, properties in _of(made) if made.region.startswith("cn-") else ():
        traced = properties.get("Tracing", properties.get("TracingConfig", {}))
        if "CompatibleArchitectures" in properties or traced in ("Active", {"Mode": "Active"}):
            yield name


RULES: Final = (
    texts,
    alarms_stuck_by_fill,
    alarms_too_wide,
    left_behind,
    access_logs_that_fill_the_policy,
    rights_that_leave_with_the_network,
    what_china_refuses,
)
