"""The template in every combination of what can be switched: nothing dangles, and lint finds nothing.

What is looked at is what SAM makes of the template, each resource in every form that it can have.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from local.template import Template, TemplateError
from tests.sam.rendering import (
    ASKED,
    PARTITION,
    REGIONS,
    SAM_PYTHON,
    SAMPLES,
    Combination,
    Rendering,
    Switches,
    deploy,
    lint,
    references,
    renderings,
    switches,
    transform,
)
from tests.security.audit import TOOLS, checkov

CFN_LINT: Final = SAM_PYTHON.with_name("cfn-lint")


@pytest.fixture(scope="module")
def rendered() -> list[Rendering]:
    return renderings(switches())


def dangling(these: Switches) -> set[str]:
    """Give what refers to something that is not there, in any combination of all conditions."""
    template = these.template
    always = template["Parameters"].keys()
    found = set()
    for entry, written in these.entries.items():
        named = {name for name in references(written) if not name.startswith("AWS::") and name not in always}
        unknown = {name for name in named if name not in template["Resources"]}
        found |= {f"{entry[1]} refers to {name}, which there never is" for name in unknown}
        needed = these.used_by(entry).union(*(these.used_by(("Resources", name)) for name in named - unknown))
        for combination in these.combinations(needed):
            form = these.form(entry, combination)
            for name in references(form or {}):
                if name in named - unknown and these.form(("Resources", name), combination) is None:
                    found.add(f"{entry[1]} refers to {name} where {shown(combination)}")
    return found


def shown(combination: Combination) -> str:
    return " ".join(f"{name}={value or 'nothing'}" for name, value in sorted(combination.values.items()))


def test_nothing_refers_to_what_is_not_there() -> None:
    assert dangling(switches()) == set()


def test_every_condition_that_is_used_is_there_and_every_one_is_used() -> None:
    these = switches()
    used = set().union(*map(these.used_by, these.entries))
    among = set(re.findall(r'"Condition": "([^"]+)"', json.dumps(these.conditions)))

    assert used - these.conditions.keys() == set()
    assert these.conditions.keys() - used - among == set()


def test_every_parameter_is_used_and_every_sample_is_taken() -> None:
    these = switches()
    template = these.template

    used = set(references({name: template[name] for name in ("Resources", "Outputs", "Conditions", "Rules")}))
    assert template["Parameters"].keys() - used == set()
    for name, value in SAMPLES.items():
        assert deploy(template, {name: value}).references[name] in (value, value.split(","))


def test_an_independent_count_of_combinations_agrees() -> None:
    """Of one resource with many conditions, each combination of values by itself, without any grouping."""
    these = switches()
    entry = ("Resources", "ReceiptKeysAlias")
    parameters = ("Release", "Receipts", "ReceiptSecretArn")
    there = Counter(
        these.form(entry, Combination({}, {name: deployment.holds(name) for name in these.used_by(entry)}))
        is not None
        for release in ("off", "v2")
        for receipts in ("off", "on")
        for secret in ("", SAMPLES["ReceiptSecretArn"])
        for deployment in [
            deploy(these.template, dict(zip(parameters, (release, receipts, secret), strict=True)))
        ]
    )

    assert there == {True: 1, False: 7}
    assert [these.form(entry, each) is not None for each in these.combinations(these.used_by(entry))].count(
        True
    ) == 1


def test_cfn_lint_finds_nothing_in_any_form(rendered: list[Rendering], tmp_path: Path) -> None:
    assert lint(CFN_LINT, rendered, tmp_path) == []


@pytest.mark.skipif(
    not ((TOOLS / "checkov").exists() or os.environ.get("ALL_PARTS")),
    reason="no .venv-audit: make audit makes it, and asks checkov",
)
def test_checkov_finds_nothing_in_any_form(rendered: list[Rendering]) -> None:
    assert checkov(rendered) == []


def test_the_whole_is_rendered_with_what_each_value_makes_of_it(rendered: list[Rendering]) -> None:
    """SAM's transformation, given a combination's values, makes the same of the template."""
    for each in (rendered[0], rendered[-1]):
        values = {name: value for name, value in each.combination.values.items() if name != PARTITION}
        given = {**ASKED, **values, "AllowedOrigins": ["https://www.abc.com", "https://m.abc.com"]}
        theirs = Switches(transform(given))
        for entry in theirs.entries:
            form = theirs.form(entry, each.combination)
            ours = each.document[entry[0]].get(entry[1])
            assert filled(form, values) == filled(ours, values), entry


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """Put parameters' values in their place, as SAM does here and there."""
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if isinstance(value, dict):
        if isinstance(name := value.get("Ref"), str) and name in values:
            return values[name]
        return {key: filled(item, values) for key, item in value.items()}
    return value


# --- Both partitions -------------------------------------------------------------------------------


@pytest.mark.parametrize("partition", REGIONS)
def test_nothing_in_a_partition_is_named_as_in_the_other(rendered: list[Rendering], partition: str) -> None:
    mine = [each for each in rendered if each.combination.values[PARTITION] == partition]
    text = "\n".join(json.dumps(placed(each)) for each in mine)
    services = re.findall(r'"([a-z]+)\.amazonaws\.com"', text)

    assert mine
    assert set(services) == {"lambda", "apigateway"} | ({"codedeploy"} if partition == "aws" else set())
    text = re.sub(r'"(lambda|apigateway|codedeploy)\.amazonaws\.com"', "", text)  # as principals
    if partition == "aws-cn":
        assert not re.findall(r".{40}arn:aws:.{40}", text)
        assert not re.findall(r".{40}(?:amazonaws\.com(?!\.cn)|aws\.amazon\.com|eu-west-1).{20}", text)
    else:
        assert not re.findall(r".{40}(?:aws-cn|amazonaws\.com\.cn|amazonaws\.cn|cn-north-1).{20}", text)


def placed(rendering: Rendering) -> Any:
    """Evaluate a rendering whole, where its partition is."""
    partition = rendering.combination.values[PARTITION]
    local = {
        name: value.replace("arn:aws:", f"arn:{partition}:").replace("eu-west-1", REGIONS[partition])
        for name, value in {**SAMPLES, **ASKED, **rendering.combination.values}.items()
        if name in rendering.document["Parameters"] or name == PARTITION
    }
    document = json.loads(
        json.dumps(rendering.document).replace('{"Fn::GetAZs": ""}', '["first zone", "second zone"]')
    )
    deployment = deploy({**document, "Parameters": switches().template["Parameters"]}, local)
    for name, resource in document["Resources"].items():
        attributes = re.findall(rf'{name}\.([A-Za-z]+)|"{name}", "([A-Za-z]+)"', json.dumps(document))
        deployment.created(name, name, **{a or b: f"{name} {a or b}" for a, b in attributes})
        assert resource["Type"]
    return deployment.evaluate({"Resources": document["Resources"], "Outputs": document["Outputs"]})


# --- What a mistake would look like ----------------------------------------------------------------


def test_a_reference_that_dangles_in_one_combination_is_found() -> None:
    template = deepcopy(dict(switches().template))
    group = template["Resources"]["VerifyFunction"]["Properties"]["VpcConfig"]["Fn::If"][1]
    group["SubnetIds"].append({"Ref": "PublicSubnetB"})

    found = dangling(Switches(template))

    assert found
    for each in found:
        assert each.startswith("VerifyFunction refers to PublicSubnetB where ")
        assert "StaticEgress=one-address" in each


def test_a_mistake_in_one_form_of_many_is_found(tmp_path: Path) -> None:
    template = deepcopy(dict(switches().template))
    properties = template["Resources"]["VerifyFunction"]["Properties"]
    rare: Any = "plenty"
    for condition in ("HasTwoAddresses", "HasSnapStart", "HasDomain", "HasReceipts", "HasAwsEndpointUrl"):
        rare = {"Fn::If": [condition, rare, 1024]}
    properties["MemorySize"] = rare

    (found,) = lint(CFN_LINT, renderings(Switches(template)), tmp_path)

    assert "'plenty' is not of type 'integer'" in found


def test_an_unknown_condition_is_an_error() -> None:
    template = deepcopy(dict(switches().template))
    template["Conditions"]["HasDomain"] = {"Condition": "HasNothing"}

    with pytest.raises((KeyError, TemplateError)):
        Switches(template)


def test_a_template_without_conditions_needs_none(rendered: list[Rendering]) -> None:
    for each in rendered:
        assert "Fn::If" not in json.dumps(each.document)
        Template(each.document)
