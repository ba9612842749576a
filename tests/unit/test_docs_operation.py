"""The pages for operators have what template.yaml has: parameters, outputs, resources, alarms, queries."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from local import ROOT
from local.template import Template

DOCUMENT: Final = Template.read(ROOT / "template.yaml").document
TEXT: Final = (ROOT / "template.yaml").read_text(encoding="utf-8")
RESOURCES: Final[Mapping[str, Mapping[str, Any]]] = DOCUMENT["Resources"]

DEPLOY: Final = ("docs/deploy.md", "docs/deploy.zh-CN.md")
RUNBOOK: Final = ("docs/runbook.md", "docs/runbook.zh-CN.md")
README: Final = ("README.md", "README.zh-CN.md")

# What the pages write for a condition.
SWITCHES: Final = {
    None: ("always", "总是"),
    "HasDomain": ("`DomainName`",),
    "HasDomainRecord": ("`HostedZoneId`",),
    "HasReceipts": ("`Receipts=on`",),
    "HasRelease": ("`Release`",),
    "HasPlainRelease": ("`Release`, `SnapStart=off`", "`Release`、`SnapStart=off`"),
    "HasSnapStart": ("`Release`, `SnapStart=on`", "`Release`、`SnapStart=on`"),
    "HasReceiptsRelease": ("`Release`, `Receipts=on`", "`Release`、`Receipts=on`"),
    "HasTrafficShift": ("`TrafficShift`",),
    "HasStaticEgress": ("`StaticEgress`",),
    "HasTwoAddresses": ("`StaticEgress=two-addresses`",),
    "HasSecretsEndpoint": ("`SecretsEndpoint=on`",),
    "HasAlarmEmail": ("`AlarmEmail`",),
    "HasDashboard": ("`Dashboard=on`",),
}
_CELL: Final = re.compile(r"(?<!\\)\|")
_NAME: Final = re.compile(r"`([A-Za-z]+)`")
_ALARM: Final = re.compile(r"^### (\w+Alarm)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_CASE: Final = re.compile(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def rows(page: str, columns: int) -> Iterator[list[str]]:
    for line in read(page).splitlines():
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        if line.startswith("|") and len(cells) == columns:
            yield cells


def blocks(page: str) -> list[list[str]]:
    """Give the lines of each block of commands."""
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", read(page), re.DOTALL)]


def commands(page: str) -> list[str]:
    """Give the lines of all blocks, and what stands in the text as code."""
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    return [*(line for block in blocks(page) for line in block), *re.findall(r"`([^`\n]+)`", text)]


def overridden(command: str) -> set[str]:
    """Give the parameters that a `sam deploy` sets in a stack that is there."""
    if "sam deploy " not in command or "--guided" in command:
        return set()
    return set(re.findall(r"\b([A-Z]\w+)=", command.partition("--parameter-overrides")[2]))


def parameters_of(value: Any) -> set[str]:  # noqa: PLR0911 - a case each
    """Give the parameters on which a value of the template depends, its conditions' included."""
    match value:
        case {"Ref": name} if name in DOCUMENT["Parameters"]:
            return {name}
        case {"Condition": str(name)}:
            return parameters_of(DOCUMENT["Conditions"][name])
        case {"Fn::If": [name, *values]}:
            return parameters_of({"Condition": name}) | parameters_of(values)
        case {"Fn::Sub": str(text)}:
            return set(re.findall(r"\$\{(\w+)\}", text)) & set(DOCUMENT["Parameters"])
        case Mapping():
            return parameters_of(list(value.values()))
        case list():
            return set().union(*map(parameters_of, value))
        case _:
            return set()


def functions() -> list[Any]:
    """Give what a published version keeps: the functions' properties, those that all have included."""
    kind = "AWS::Serverless::Function"
    made = [resource["Properties"] for resource in RESOURCES.values() if resource["Type"] == kind]
    return [DOCUMENT["Globals"]["Function"], *made]


def variables_of(parameter: str) -> set[str]:
    """Give the environment variables that depend on a parameter."""
    return {
        name
        for properties in functions()
        for name, value in properties["Environment"]["Variables"].items()
        if parameter in parameters_of(value)
    }


def alarms() -> set[str]:
    return {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}


def saved_queries() -> set[str]:
    return {
        resource["Properties"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}/")
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Logs::QueryDefinition"
    }


def widgets() -> set[str]:
    return set(re.findall(r'"title": "([^"]+)"', TEXT))


@pytest.mark.parametrize("page", DEPLOY)
def test_every_parameter_is_explained_with_its_default(page: str) -> None:
    told = {
        name[1]: default
        for cell, default, _ in rows(page, 3)
        if (name := re.fullmatch(_NAME, cell)) is not None
    }
    words = {"required": None, "必填": None, "empty": "", "空": ""}
    meant = {
        name: words[default] if default in words else default.strip("`") for name, default in told.items()
    }
    made = {
        name: str(parameter["Default"]) if "Default" in parameter else None
        for name, parameter in DOCUMENT["Parameters"].items()
    }
    assert {name: meant.get(name, "not told") for name in made} == made


@pytest.mark.parametrize("page", DEPLOY)
def test_every_output_is_explained_and_no_other(page: str) -> None:
    heading = "What comes out" if page == DEPLOY[0] else "输出"
    section = re.search(rf"^## {heading}\n(.*?)^## ", read(page), re.MULTILINE | re.DOTALL)
    assert section
    told = {
        name
        for line in section[1].splitlines()
        if line.startswith("| `")
        for name in _NAME.findall(_CELL.split(line)[1])
    }
    assert told == set(DOCUMENT["Outputs"])


@pytest.mark.parametrize("page", DEPLOY)
def test_every_resource_is_listed_with_the_switch_that_brings_it(page: str) -> None:
    told = {
        (switch, f"AWS::{kind}", name)
        for switch, kind, names in rows(page, 3)
        if re.fullmatch(r"\w+::\w+", kind)
        for name in _NAME.findall(names)
    }
    made = {
        (SWITCHES[resource.get("Condition")][-1 if page == DEPLOY[1] else 0], resource["Type"], name)
        for name, resource in RESOURCES.items()
    }
    assert told == made


@pytest.mark.parametrize("page", DEPLOY)
def test_the_plan_that_is_shown_is_of_what_the_defaults_make(page: str) -> None:
    shown = re.findall(r"^(\w+) +AWS::", read(page), re.MULTILINE)
    without_hashes = {re.sub(r"(?<=Layer)[0-9a-f]{10}$", "", name) for name in shown}
    of_sam = {name for name in without_hashes if name.endswith(("DefaultStage", "Permission"))}
    assert without_hashes - of_sam == {
        name for name, resource in RESOURCES.items() if resource.get("Condition") in {None, "HasDashboard"}
    }
    assert f"{len(shown)} resources." in read(page)


@pytest.mark.parametrize("page", DEPLOY)
def test_a_policy_that_is_shown_is_one(page: str) -> None:
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", read(page), re.DOTALL)]
    assert [len(policy["Statement"]) for policy in policies] == [1, 3]
    partition = "arn:aws-cn:" if page == DEPLOY[1] else "arn:aws:"
    for policy in policies:
        assert {arn.startswith(partition) for arn in re.findall(r"arn:[^\"]+", json.dumps(policy))} == {True}


@pytest.mark.parametrize("page", DEPLOY)
def test_the_dialogue_asks_as_the_template_has_it(page: str) -> None:
    asked = re.findall(r"^\tParameter (\w+) \[(.*)\]:", read(page), re.MULTILINE)
    order = [
        name
        for group in DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert [name for name, _ in asked] == [name for name in DOCUMENT["Parameters"] if name in dict(asked)]
    assert [name for name in order if name in dict(asked)] == [name for name, _ in asked]
    assert {name: str(DOCUMENT["Parameters"][name].get("Default", "")) for name, _ in asked} == dict(asked)
    functions = [
        name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function"
    ]
    assert (
        re.findall(r"^\t(\w+) has no authentication\. Is this okay\?", read(page), re.MULTILINE) == functions
    )


def test_the_cost_of_alarms_counts_the_metrics_that_they_look_at() -> None:
    always, with_receipts, with_release = 0, 0, 0
    for name in alarms():
        properties = RESOURCES[name]["Properties"]
        metrics = properties.get("Metrics", [{"MetricStat": ...}])
        direct = sum("MetricStat" in metric for metric in metrics)
        if RESOURCES[name].get("Condition") == "HasRelease":
            with_release += direct
        else:
            always += direct
        with_receipts += sum("Fn::If" in metric for metric in metrics)
    english, chinese = (next(row for row in rows(page, 4) if "0.622" in row[3]) for page in DEPLOY)
    assert [always, with_release, with_receipts] == [
        int(re.search(pattern, english[3])[1])  # type: ignore[index] # it is there, or the test fails
        for pattern in (r"(\d+) metrics", r"(\d+) more with `Release`", r"(\d+) more with `Receipts`")
    ]
    assert english[1:3] == chinese[1:3] == [f"{always * 0.1:.2f} ~", f"{always * 0.622:.2f} ✓"]


@pytest.mark.parametrize("page", RUNBOOK)
def test_every_alarm_has_a_section_and_every_section_an_alarm(page: str) -> None:
    headings = re.findall(r"^### (\w+Alarm)$", read(page), re.MULTILINE)
    assert sorted(headings) == sorted(alarms())


@pytest.mark.parametrize("page", RUNBOOK)
def test_every_alarm_rings_at_what_the_runbook_says(page: str) -> None:
    told = {
        link[1]: {int(number) for number in re.findall(r"\d+", when)}
        for alarm, when in rows(page, 2)
        if (link := re.match(r"\[(\w+)\]", alarm)) is not None
    }
    for name in alarms():
        properties = RESOURCES[name]["Properties"]
        of_metrics = (metric.get("MetricStat", {}).get("Period") for metric in properties.get("Metrics", ()))
        period = properties.get("Period") or next(filter(None, of_metrics))
        assert {properties["Threshold"], properties["EvaluationPeriods"] * period // 60} <= told[name], name


@pytest.mark.parametrize("page", RUNBOOK)
def test_every_section_ends_with_the_command_that_checks_the_fix(page: str) -> None:
    sections = _CASE.findall(read(page))
    assert len(sections) > len(alarms())
    for heading, section in sections:
        last = section.rstrip().rpartition("```sh\n")[2]
        assert last.endswith("\n```"), heading
        assert last.count("```") == 1, heading
        if heading in alarms() and "describe-alarms" in last:
            assert f'"${{STACK:?}}-{heading}" ' in last, heading


@pytest.mark.parametrize("page", RUNBOOK)
def test_what_the_runbook_sends_people_to_is_in_the_template(page: str) -> None:
    """Bold are queries and widgets, and nothing else."""
    sent = set(re.findall(r"\*\*(.+?)\*\*", read(page)))
    assert sent <= saved_queries() | widgets()
    assert saved_queries() <= sent


@pytest.mark.parametrize("page", RUNBOOK)
def test_every_alarm_says_where_to_look_first(page: str) -> None:
    label = "See:" if page == RUNBOOK[0] else "查看："
    sections = dict(_ALARM.findall(read(page)))
    assert {name for name, section in sections.items() if label in section} == alarms()


@pytest.mark.parametrize("page", DEPLOY + RUNBOOK)
def test_a_deployment_that_changes_what_runs_gives_the_release_a_new_name(page: str) -> None:
    """Under the same name the alias keeps the former version, and with it the former setting."""
    kept = parameters_of(functions())
    changing = [command for command in commands(page) if overridden(command) & kept]
    assert len(changing) > 3
    for command in changing:
        assert re.search(r"Release=\d|\$\(release\)", command), command


@pytest.mark.parametrize("page", RUNBOOK)
def test_a_change_by_the_runbook_is_checked_in_what_runs(page: str) -> None:
    """Not in the stack's parameters, which have the new value whether or not it runs."""
    changes = 0
    for block in blocks(page):
        for number, line in enumerate(block):
            for parameter in overridden(line) & parameters_of(functions()):
                changes += 1
                checks = {f"running {variable}" for variable in variables_of(parameter)}
                assert checks & set(block[number + 1 :]), line
    assert changes > 3


@pytest.mark.parametrize("page", RUNBOOK)
def test_the_runbook_says_of_what_stack_each_command_is(page: str) -> None:
    """A default would be another stack than the one whose alarm rings."""
    assert re.findall(r".*number-verification.*", read(page)) == [
        "export STACK=number-verification-production"
    ]
    for command in commands(page):
        tool, _, options = command.partition("python -m tools ")[2].partition(" ")
        if command.startswith("keys "):
            tool, _, options = command.partition(" ")
        if tool == "doctor":
            assert '--stack "${STACK:?}"' in options, command
        elif tool == "keys":
            assert re.search(r"--secret (\"\$[A-Z]+_SECRET\"|NAME)", options), command
            assert ("--verification-secret" in options) == options.startswith("check "), command
        elif "sam deploy " in command:
            assert '--config-env "${CONFIG:?}"' in command, command


@pytest.mark.parametrize("page", RUNBOOK)
def test_every_name_in_a_command_of_the_runbook_was_set_at_its_head(page: str) -> None:
    first, second, *others = (
        "\n".join(re.sub(r"\s#.*", "", line) for line in block) for block in blocks(page)
    )
    head = f"{first}\n{second}"
    made = {*re.findall(r"\b([A-Z_]+)=", head), *re.findall(r"^(\w+)\(\)", head, re.MULTILINE)}
    for block in (head, *others):
        here = {*re.findall(r"\b([A-Z_]+)=", block), *re.findall(r"\bfor (\w+) in", block)}
        called = re.findall(r"(?:^|\$\()(running|physical|release)\b(?!\()", block, re.MULTILINE)
        assert {*re.findall(r"\$\{?([A-Z_]+)", block), *called} - {"LATEST"} <= made | here
    assert set(re.findall(r"\brunning ([A-Z_]+)", read(page))) <= {
        variable for properties in functions() for variable in properties["Environment"]["Variables"]
    }


@pytest.mark.parametrize("page", README)
def test_every_variable_of_the_functions_is_in_the_settings_table(page: str) -> None:
    variables = {
        variable
        for resource in (*RESOURCES.values(), {"Properties": DOCUMENT["Globals"]["Function"]})
        for variable in resource["Properties"].get("Environment", {}).get("Variables", {})
        if not variable.startswith(("POWERTOOLS_", "AWS_"))
    }
    told = {name for row in rows(page, 4) for name in re.findall(r"\b[A-Z][A-Z_]+[A-Z]\b", row[0])}
    assert told == variables
