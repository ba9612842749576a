"""What AWS takes and no schema says: characters, lengths, what fails in use. Data, and findings in templates.

Sources are AWS's API references, beside each row; in a path `[]` is every item.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.support.templates import REGIONS, Made

# What no provider's schema has; cfn-lint holds the other lengths and characters (`make audit`).
_OF_GROUPS: Final = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}"
TEXTS: Final = (
    # EC2, IpRange
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress[].Description", _OF_GROUPS),
    # every service's tags; EC2's are the narrowest
    ("*", "Tags[].Value", r"[\w\s.:/=+@-]{0,256}"),
    # IAM, CreatePolicy
    ("AWS::IAM::ManagedPolicy", "Description", r"[\x20-\x7e]{0,1000}"),
    # Lambda, CreateFunction, PublishVersion; cfn-lint passes over the texts of what SAM makes
    ("AWS::Serverless::Function", "FunctionName", r"[a-zA-Z0-9-_]{1,64}"),
    ("AWS::Serverless::Function", "Description", r"[\s\S]{0,256}"),
    ("AWS::Serverless::Function", "VersionDescription", r"[\s\S]{0,256}"),
)


def texts(made: Made) -> Iterator[str]:
    """Find texts that their service refuses: a character, or too long."""
    for name, resource in made.document["Resources"].items():
        for wanted, path, pattern in TEXTS:
            if wanted not in {"*", resource["Type"]}:
                continue
            for text in _at(resource.get("Properties", {}), path):
                if not re.fullmatch(pattern, str(text), re.ASCII if wanted != "*" else 0):
                    yield f"{name}.{path}: {text!r}"


def _at(properties: dict[str, Any], path: str) -> list[Any]:
    member, _, inner = path.partition("[].")
    found = properties.get(member, [])
    items = [item[inner] for item in found if inner in item] if inner and isinstance(found, list) else [found]
    return [item for item in items if isinstance(item, str)]


def alarms_stuck_by_fill(made: Made) -> Iterator[str]:
    """Find alarms whose FILL makes the newest period, often still empty, a zero that keeps them in OK.

    Such an alarm has to look at more periods than have to be bad.
    """
    for name, alarm in made.resources("AWS::CloudWatch::Alarm").items():
        fills = any("FILL(" in metric.get("Expression", "") for metric in alarm.get("Metrics", ()))
        periods = alarm["EvaluationPeriods"]
        if fills and alarm.get("DatapointsToAlarm", periods) >= periods:
            yield name


def alarms_too_wide(made: Made) -> Iterator[str]:
    """Find alarms with more than ten metrics, or metric math that returns other than one value."""
    for name, alarm in made.resources("AWS::CloudWatch::Alarm").items():
        metrics = alarm.get("Metrics", ())
        returned = [each for each in metrics if each.get("ReturnData", True)]
        if len(metrics) > 10 or len(returned) != bool(metrics):
            yield name


def access_logs_that_fill_the_policy(made: Made) -> Iterator[str]:
    """Find access logs under names that API Gateway adds to the account's log policy, of 5,120 characters."""
    groups = made.resources("AWS::Logs::LogGroup")
    for name, api in made.resources("AWS::Serverless::HttpApi").items():
        group = api["AccessLogSettings"]["DestinationArn"].strip("<>").removesuffix(".Arn")
        if not groups[group]["LogGroupName"].startswith("/aws/vendedlogs/"):
            yield name


def rights_that_leave_with_the_network(made: Made) -> Iterator[str]:
    """Find functions that Lambda could not take out of a VPC: the right to delete interfaces goes with it."""
    role = made.document["Resources"].get("VerifyRole")
    if role is not None and "ec2:DeleteNetworkInterface" not in str(role):
        yield "VerifyRole"


def what_china_refuses(made: Made) -> Iterator[str]:
    """Find CompatibleArchitectures, which the regions of China refuse, and X-Ray, which they lack."""
    for name, resource in made.document["Resources"].items():
        if made.region.startswith("cn-") and re.search("CompatibleArchitectures|'Active'", str(resource)):
            yield name


def other_places(made: Made) -> Iterator[str]:
    """Find the name of another partition or region than the stack's own."""
    partition = "arn:aws:" if made.region.startswith("cn-") else "arn:aws-cn:"
    text = json.dumps(made.document)
    yield from (place for place in {partition, *REGIONS} - {made.region} if place in text)


RULES: Final = (
    texts,
    alarms_stuck_by_fill,
    alarms_too_wide,
    access_logs_that_fill_the_policy,
    rights_that_leave_with_the_network,
    what_china_refuses,
    other_places,
)
