"""The template as CloudFormation makes it, for every combination of what can be switched.

SAM's transformation is done once; conditions are evaluated after it, as CloudFormation does. A combination is
what each condition then is, and conditions that share no parameter are independent of each other: every
combination of those that a resource depends on is looked at, which for that resource is every one of all.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from local import ROOT
from local.template import Deployment, Pseudo, Template

SAM_PYTHON: Final = ROOT / ".venv-sam" / "bin" / "python"

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
PARAMETERS: Final[Mapping[str, Any]] = {"AllowedOrigins": ["https://www.abc.com", "https://m.abc.com"]}

SECRET: Final = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:number-verification/any-a1B2c3"
ASKED: Final = {
    "AppId": "000340",
    "AllowedOrigins": "https://www.abc.com",
    "SigningSecretArn": SECRET,
    "VerificationSecretArn": SECRET,
}
# What a parameter may be that is no choice among values, beside nothing.
SAMPLES: Final[Mapping[str, str]] = {
    "SecretsKmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/a1b2c3",
    "DataKmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/d4e5f6",
    "AwsEndpointUrl": "http://127.0.0.1:4566",
    "DomainName": "number.abc.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/a1b2c3",
    "HostedZoneId": "Z0123456789",
    "SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "ReceiptSecretArn": SECRET,
    "Release": "2026-11-24",
    "AlarmEmail": "operator@abc.com",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
}
PARTITION: Final = "AWS::Partition"
REGIONS: Final = {"aws": "eu-west-1", "aws-cn": "cn-north-1"}

Entry = tuple[str, str]
"""Section and logical id: an output refers to resources as they do to each other."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Some values of parameters, and what the conditions are that depend on these."""

    values: Mapping[str, str]
    holds: Mapping[str, bool]


def transform(parameters: Mapping[str, Any] = PARAMETERS) -> dict[str, Any]:
    """Have SAM transform the template."""
    command = [str(SAM_PYTHON), "-c", TRANSFORM, json.dumps(dict(parameters))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    template: dict[str, Any] = json.loads(run.stdout)
    return template


def deploy(template: Mapping[str, Any], values: Mapping[str, str]) -> Deployment:
    """Evaluate a template for some values, one of them perhaps the partition."""
    pseudo = Pseudo(REGIONS[values.get(PARTITION, "aws")], "123456789012", "demo")
    given = {name: value for name, value in values.items() if name != PARTITION}
    return Template(template).deploy({**ASKED, **given}, pseudo)


class Switches:
    """What can be switched in a transformed template.

    Parameters
    ----------
    template
        As SAM made it.
    """

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.template = template
        self.conditions: Mapping[str, Any] = template["Conditions"]
        self.entries: Mapping[Entry, Mapping[str, Any]] = {
            (section, name): entry
            for section in ("Resources", "Outputs")
            for name, entry in template[section].items()
        }
        self._groups = [self._combine(group) for group in self._independent()]

    def used_by(self, entry: Entry) -> frozenset[str]:
        """Give the conditions on which an entry depends: whether it is there, and in which form."""
        return frozenset(_conditions(self.entries[entry]))

    def combinations(self, conditions: Iterable[str]) -> Iterator[Combination]:
        """Give every combination of some conditions, each once."""
        wanted = set(conditions)
        parts = []
        for group in self._groups:
            if mine := wanted & group[0].holds.keys():
                distinct = {
                    tuple(each.holds[name] for name in sorted(mine)): each for each in reversed(group)
                }
                parts.append(list(distinct.values()))
        return (_joined(chosen) for chosen in product(*parts))

    def rows(self) -> Iterator[Combination]:
        """Give few combinations of everything, in which each one of every independent group is met."""
        for number in range(max(map(len, self._groups))):
            yield _joined(group[number % len(group)] for group in self._groups)

    def form(self, entry: Entry, combination: Combination) -> dict[str, Any] | None:
        """Give an entry as it is in a combination; None if it is not there."""
        written = self.entries[entry]
        if not combination.holds.get(written.get("Condition", ""), True):
            return None
        form: dict[str, Any] = _without_conditions(written, combination.holds)
        form.pop("Condition", None)
        return form

    def _parameters(self, condition: str) -> set[str]:
        names = set(references(self.conditions[condition]))
        for other in _conditions(self.conditions[condition]):
            names |= self._parameters(other)
        return names

    def _independent(self) -> list[set[str]]:
        """Give the parameters that conditions depend on, in groups that have no condition in common."""
        groups: list[set[str]] = []
        for condition in self.conditions:
            group = self._parameters(condition)
            apart = [other for other in groups if not other & group]
            groups = [*apart, set().union(group, *(other for other in groups if other & group))]
        return groups

    def _combine(self, parameters: set[str]) -> list[Combination]:
        conditions = [name for name in self.conditions if self._parameters(name) <= parameters]
        names = sorted(parameters)
        distinct: dict[tuple[bool, ...], Combination] = {}
        for values in product(*(self._choices(name) for name in names)):
            chosen = dict(zip(names, values, strict=True))
            deployment = deploy(self.template, chosen)
            holds = {name: deployment.holds(name) for name in conditions}
            distinct.setdefault(tuple(holds.values()), Combination(chosen, holds))
        return list(distinct.values())

    def _choices(self, parameter: str) -> list[str]:
        if parameter == PARTITION:
            return list(REGIONS)
        facts = self.template["Parameters"][parameter]
        return facts.get("AllowedValues") or [str(facts["Default"]), SAMPLES[parameter]]


@cache
def switches() -> Switches:
    """Transform the product's template, once."""
    return Switches(transform())


@dataclass(frozen=True, slots=True)
class Rendering:
    """A template without conditions: what is there in one combination.

    Attributes
    ----------
    combination
        Which one.
    document
        The template. Beside the resources there may be copies of them, in other forms that they can have: a
        resource with many forms would else take many templates.
    """

    combination: Combination
    document: dict[str, Any]


def renderings(these: Switches) -> list[Rendering]:
    """Render templates that have every form that any entry can have, and all that each refers to."""
    made = [_render(these, row) for row in these.rows()]
    for entry in these.entries:
        seen = [each.document[entry[0]].get(entry[1]) for each in made]
        for combination in these.combinations(these.used_by(entry)):
            form = these.form(entry, combination)
            if form is None or form in seen:
                continue
            seen.append(form)
            hosts = (each for each in made if _can_have(these, each, form, combination))
            if host := next(hosts, None):
                host.document[entry[0]][f"{entry[1]}InForm{len(seen)}"] = form
            else:
                made.append(_render(these, _joined([made[0].combination, combination])))
    for each in made:
        _declare(these, each)
    return made


def _can_have(these: Switches, host: Rendering, form: Any, combination: Combination) -> bool:
    needed = {name for name in references(form) if name in these.template["Resources"]}
    partition = host.combination.values[PARTITION]
    return (
        needed <= host.document["Resources"].keys()
        and combination.values.get(PARTITION, partition) == partition
    )


def _render(these: Switches, combination: Combination) -> Rendering:
    document: dict[str, Any] = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}, "Outputs": {}}
    for section, name in these.entries:
        form = these.form((section, name), combination)
        if form is not None:
            document[section][name] = form
    document["Mappings"] = these.template["Mappings"]
    return Rendering(combination, document)


def _declare(these: Switches, rendering: Rendering) -> None:
    """Add the parameters that are used, each with its value: an empty default is for what is switched off."""
    used = set(references(rendering.document))
    values = {**SAMPLES, **ASKED, **rendering.combination.values}
    rendering.document["Parameters"] = {
        name: {**facts, "Default": values.get(name) or SAMPLES.get(name) or facts["Default"]}
        for name, facts in these.template["Parameters"].items()
        if name in used
    }


# What looks at the resources beside one has nothing to say of a copy.
_OF_NEIGHBOURS: Final = {"W2530", "E3064"}
# cfn-lint knows that China's regions have no SnapStart for Python; the parameter says so.
_ONLY_ELSEWHERE: Final = {"E2530"}


def lint(cfn_lint: Path, these: Iterable[Rendering], folder: Path) -> list[str]:
    """Have cfn-lint read renderings, those of each partition for its regions; give what it finds.

    Parameters
    ----------
    cfn_lint
        The command.
    these
        What to read.
    folder
        Where to write the files, by partition.
    """
    paths = write(these, folder)
    found = []
    for partition, regions in (("aws", ["eu-central-1"]), ("aws-cn", ["cn-north-1", "cn-northwest-1"])):
        command = [str(cfn_lint), "--format=json", "--regions", *regions, "--", *map(str, paths[partition])]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        for match in json.loads(run.stdout):
            rule, place = match["Rule"]["Id"], match["Location"]["Path"]
            is_copy = any("InForm" in str(part) for part in place[:2])
            known = (_OF_NEIGHBOURS if is_copy else set()) | (
                _ONLY_ELSEWHERE if partition == "aws-cn" else set()
            )
            if rule not in known:
                found.append(f"{rule} {'/'.join(map(str, place))}: {match['Message']}")
    return found


def write(these: Iterable[Rendering], folder: Path) -> dict[str, list[Path]]:
    """Write renderings to files; give them by partition."""
    paths: dict[str, list[Path]] = {partition: [] for partition in REGIONS}
    for number, rendering in enumerate(these):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(rendering.document, indent=1))
        paths[rendering.combination.values[PARTITION]].append(path)
    return paths


def references(value: Any) -> Iterator[str]:
    """Give what a value refers to, by Ref, GetAtt, Sub or DependsOn."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _references(key, item)


def _references(key: str, item: Any) -> Iterator[str]:
    if key == "Ref":
        yield item
    elif key == "Fn::GetAtt":
        yield item.partition(".")[0] if isinstance(item, str) else item[0]
    elif key == "DependsOn":
        yield from [item] if isinstance(item, str) else item
    elif key == "Fn::Sub":
        text, given = item if isinstance(item, list) else (item, {})
        names = (part.partition("}")[0] for part in text.split("${")[1:] if not part.startswith("!"))
        yield from (name.partition(".")[0] for name in names if name not in given)
        yield from references(given)
    else:
        yield from references(item)


def _conditions(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _conditions(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Fn::If":
                yield item[0]
            if key == "Condition" and isinstance(item, str):  # in a policy it is a mapping
                yield item
            yield from _conditions(item)


_NOTHING: Final = {"Ref": "AWS::NoValue"}


def _without_conditions(value: Any, holds: Mapping[str, bool]) -> Any:
    if isinstance(value, list):
        items = (_without_conditions(item, holds) for item in value)
        return [item for item in items if item != _NOTHING]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return _without_conditions(then if holds[condition] else otherwise, holds)
    made = {key: _without_conditions(item, holds) for key, item in value.items()}
    return {key: item for key, item in made.items() if item != _NOTHING}


def _joined(combinations: Iterable[Combination]) -> Combination:
    values: dict[str, str] = {}
    holds: dict[str, bool] = {}
    for each in combinations:
        values |= each.values
        holds |= each.holds
    return Combination(values, holds)
