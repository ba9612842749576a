"""The three templates as CloudFormation makes them for some answers: what is there, with which properties."""

import json
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local import ROOT
from local.template import Deployment, Pseudo, Template

APPLICATION: Final = "template.yaml"
NETWORK: Final = "stacks/network.yaml"
WATCHING: Final = "stacks/watching.yaml"

ACCOUNT: Final = "123456789012"
REGIONS: Final = ("eu-central-1", "ap-southeast-1", "cn-north-1", "cn-northwest-1")
LONGEST_STACK: Final = "n" * 50
"""A stack's name as long as docs/deploy.md allows, so that lengths are held at their worst."""


def secret(region: str, name: str) -> str:
    """Return the ARN of a secret that an operator made."""
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    return f"arn:{partition}:secretsmanager:{region}:{ACCOUNT}:secret:number-verification/{name}-a1B2c3"


def asked(region: str) -> dict[str, str]:
    return {
        "AppId": "000340",
        "Line": "test",
        "AllowedOrigins": "https://www.abc.com,https://m.abc.com",
        "SigningSecretArn": secret(region, "signing"),
        "VerificationSecretArn": secret(region, "verification"),
    }


def switches(template: str, region: str) -> list[dict[str, str]]:
    """Return answers that between them turn every switch of a template: none, each by itself, all."""
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    kms = {"KmsKeyArn": f"arn:{partition}:kms:{region}:{ACCOUNT}:key/a1b2c3"}
    domain = {
        "DomainName": "number.abc.com",
        "CertificateArn": f"arn:{partition}:acm:{region}:{ACCOUNT}:certificate/a1b2c3",
    }
    each: dict[str, list[dict[str, str]]] = {
        APPLICATION: [
            {"Line": "production", "Release": "v" * 64},
            {"SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b", "SecurityGroupIds": "sg-0a1b2c3d"},
            {"ReceiptSecretArn": secret(region, "receipts"), "ReceiptNumber": "encrypted"},
            domain,
            {**domain, "HostedZoneId": "Z0123456789"},
            {**domain, "DefaultEndpoint": "off", "IpAddressType": "ipv4"},
            {"TrafficShift": "Linear10PercentEvery10Minutes"},
            {} if partition == "aws-cn" else {"SnapStart": "on"},
            {"VerifyConcurrency": "100", "WarmWriteUnits": "12000", "TableProtection": "on"},
            kms,
        ],
        NETWORK: [
            {"Addresses": "two", "SecretsEndpoint": "on"},
            {"FirstAllocationId": "eipalloc-0a1b2c3d", "FirstZone": f"{region}b", "SecondZone": f"{region}c"},
            {"Addresses": "two", "SecondAllocationId": "eipalloc-0a1b2c3d"},
        ],
        WATCHING: [
            {"AlarmEmail": "operator@abc.com", **kms},
            {"AlarmTopicArn": f"arn:{partition}:sns:{region}:{ACCOUNT}:alarms"},
        ],
    }
    needed = {APPLICATION: asked(region), NETWORK: {}, WATCHING: {"Stack": LONGEST_STACK}}[template]
    together = [some for some in each[template] if not {"AlarmTopicArn", "FirstAllocationId"} & some.keys()]
    return [{**needed, **some} for some in ({}, *each[template], dict(ChainMap(*reversed(together))))]


@dataclass(frozen=True, slots=True)
class Made:
    """A template for some answers, evaluated, in a region.

    Of its resources and outputs `document` has those that are there. What only AWS knows is a text that names
    it, such as `<Vpc>`.
    """

    document: Mapping[str, Any]
    region: str
    values: Mapping[str, str]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of a type, by logical id."""
        found = self.document["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in found if each["Type"] == kind}


class _Named(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def make(document: Mapping[str, Any], values: Mapping[str, str], region: str, stack: str = "demo") -> Made:
    """Evaluate a template.

    Raises
    ------
    TemplateError
        A parameter is unknown, missing or not allowed.
    """
    written = {**document, "Resources": _known(document["Resources"])}
    deployment = Template(written).deploy(values, Pseudo(region, ACCOUNT, stack))
    known = _Named(deployment.references)
    for name, resource in written["Resources"].items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":  # whose name is part of other texts
            generated = f"{stack}-{name}-A1B2C3D4E5F6"
            known[name] = f"arn:{deployment.pseudo.partition}:iam::{ACCOUNT}:policy/{generated}"
    deployment = Deployment(written, known, deployment.pseudo, _Named())
    made: dict[str, Any] = {}
    for section in ("Resources", "Outputs"):
        made[section] = {
            name: deployment.evaluate({key: item for key, item in entry.items() if key != "Condition"})
            for name, entry in written.get(section, {}).items()
            if "Condition" not in entry or deployment.holds(entry["Condition"])
        }
    return Made(made, region, values)


def _known(value: Any) -> Any:
    """Put texts for what only AWS can evaluate: zones, and what other stacks export."""
    if isinstance(value, list):
        return [_known(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::GetAZs" in value:
        return ["<zone a>", "<zone b>"]
    if "Fn::ImportValue" in value:
        return "<imported>"
    return {key: _known(item) for key, item in value.items()}


def read(template: str) -> Mapping[str, Any]:
    return Template.read(ROOT / template).document


def all_made() -> Iterator[tuple[str, Made]]:
    """Evaluate the three templates for every switch in every region that the documents name."""
    for template in (APPLICATION, NETWORK, WATCHING):
        document = read(template)
        for region in REGIONS:
            for values in switches(template, region):
                yield template, make(document, values, region, LONGEST_STACK)


def forms(folder: Path, region: str) -> Iterator[Path]:
    """Write each template as every switch makes it in a region, for tools that evaluate no condition."""
    for number, (template, made) in enumerate(all_made()):
        if made.region == region:
            written = read(template)
            head = {key: written[key] for key in ("AWSTemplateFormatVersion", "Transform") if key in written}
            path = folder / f"{region}-{Path(template).stem}-{number}.json"
            path.write_text(json.dumps({**head, **_referring(made.document)}))
            yield path


def _referring(value: Any) -> Any:
    """Refer again to what is in the template itself, which evaluation has put in words."""
    if isinstance(value, list):
        return [_referring(item) for item in value]
    if isinstance(value, dict):
        return {name: _referring(item) for name, item in value.items()}
    if not isinstance(value, str) or "<" not in value:
        return value
    if value.startswith("<zone"):
        return {"Fn::Select": [int(value == "<zone b>"), {"Fn::GetAZs": ""}]}
    if match := re.fullmatch(r"<([A-Za-z0-9]+)>", value):
        return {"Ref": match[1]} if match[1] != "imported" else value
    text = value.replace("$", "$!") if "${" in value else value
    return {"Fn::Sub": text.replace("<imported>", "imported").replace("<", "${").replace(">", "}")}
