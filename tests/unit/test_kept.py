"""An update of a deployed stack replaces neither the table nor the pepper.

`kept.json` has, of each, what CloudFormation replaces it for (of the pepper also what gives it another value)
as it is deployed. The tests with the SAM CLI hold the record against the providers' schemas.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from local.template import Template

RECORD: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("kept.json").read_text())
RESOURCES: Final[Mapping[str, Any]] = Template.read(ROOT / "template.yaml").document["Resources"]


def replacements(resources: Mapping[str, Any]) -> list[str]:
    """Say what would be lost by deploying these resources over the recorded ones, and what to do."""
    return [
        f"{name}: {reason}. {facts['lost']} {facts['instead']} Then record it in kept.json."
        for name, facts in RECORD.items()
        for reason in _reasons(resources.get(name), facts)
    ]


def _reasons(resource: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> list[str]:
    if resource is None:
        return ["it is not in the template any more, or under another name, which is another resource"]
    reasons = []
    if resource["Type"] != facts["type"]:
        reasons.append(f"its type is {resource['Type']}")
    if "Condition" in resource:
        reasons.append(f"it is there only where {resource['Condition']} holds")
    reasons += [
        f"its {policy} is not {kept}, so what is in it would be deleted"
        for policy, kept in (("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain"))
        if resource.get(policy) != kept
    ]
    return reasons + [
        f"its {each} has changed"
        for each in sorted({*facts["replacing"], *facts["recorded"]})
        if resource["Properties"].get(each) != facts["recorded"].get(each)
    ]


def test_an_update_keeps_the_table_and_the_pepper() -> None:
    assert replacements(RESOURCES) == []


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("AttemptsTable", {"TableName": "attempts"}, "its TableName has changed"),
        (
            "AttemptsTable",
            {"KeySchema": [{"AttributeName": "number", "KeyType": "HASH"}]},
            "its KeySchema has changed",
        ),
        ("PepperSecret", {"Name": "pepper"}, "its Name has changed"),
        (
            "PepperSecret",
            {"GenerateSecretString": {"PasswordLength": 32}},
            "its GenerateSecretString has changed",
        ),
    ],
)
def test_a_change_that_replaces_one_is_told_with_what_would_be_lost(
    name: str, change: Mapping[str, Any], reason: str
) -> None:
    resources = deepcopy(dict(RESOURCES))
    resources[name]["Properties"] |= change

    (told,) = replacements(resources)

    assert told.startswith(f"{name}: {reason}. ")
    assert RECORD[name]["lost"] in told
    assert RECORD[name]["instead"] in told
