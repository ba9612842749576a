"""The saved queries ask for what the functions write, and metrics are written as alarms look for them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from local import ROOT
from local.stack import STACK_NAME, Options
from local.template import Template
from tests.integration.test_leaks import every_story
from tests.support.phone import new_pre_sign
from tests.support.stacks import embedded, phone_of

RESOURCES: Final = Template.read(ROOT / "template.yaml").document["Resources"]
QUERIES: Final = [name for name in RESOURCES if RESOURCES[name]["Type"] == "AWS::Logs::QueryDefinition"]

# What CloudWatch itself knows of a line, and what Lambda writes at the end of a call where logs are JSON.
OF_CLOUDWATCH: Final = {"@timestamp"}
OF_LAMBDA: Final = {
    "type",
    "record.requestId",
    "record.status",
    "record.metrics.durationMs",
    "record.metrics.initDurationMs",
}
OF_LAMBDA_TEXTS: Final = {"platform.report", "success"}
WORDS: Final = {
    "fields",
    "filter",
    "stats",
    "sort",
    "limit",
    "by",
    "as",
    "and",
    "or",
    "in",
    "asc",
    "desc",
} | {
    "count",
    "max",
    "bin",
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the functions write while everything happens that may happen to a request."""
    log = tmp_path_factory.mktemp("queries") / "functions.log"
    parameters = {"PlatformReadTimeout": "0.3", "PlatformDeadline": "1"}
    # Embedded, whatever the target: a worker's output is the functions' alone.
    with embedded(Options(log=log, parameters=parameters)) as stack:
        phone = phone_of(stack, sim="13512348765")
        every_story(phone)
        phone.presign(f"0{new_pre_sign(phone.app_id)[3][1:]}")
    return list(json_lines(log))


def json_lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def asked(query: str) -> tuple[set[str], set[str]]:
    """Give the fields and the texts that a query asks for."""
    text = RESOURCES[query]["Properties"]["QueryString"]
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    texts = set(re.findall(r'"([^"]*)"', code))
    code = re.sub(r'"[^"]*"', "", code)
    names = set(re.findall(r"(?<![\w.@])@?[A-Za-z]\w*(?:\.\w+)*", code))
    aliases = set(re.findall(r"\bas (\w+)", code))
    return names - aliases - WORDS, texts


def groups(query: str) -> set[str]:
    found = RESOURCES[query]["Properties"]["LogGroupNames"]
    return {(each["Fn::If"][1] if "Fn::If" in each else each)["Ref"] for each in found}


def access_log() -> set[str]:
    form = RESOURCES["NumberVerificationApi"]["Properties"]["AccessLogSettings"]["Format"]
    return set(json.loads(form))


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_fields_that_are_written(lines: list[dict[str, Any]], query: str) -> None:
    written = OF_CLOUDWATCH | (access_log() if "ApiLogGroup" in groups(query) else set())
    if groups(query) != {"ApiLogGroup"}:
        written |= OF_LAMBDA | {name for line in lines for name in line if "_aws" not in line}
        written |= {f"{name}.0" for line in lines for name, value in line.items() if isinstance(value, list)}

    fields, _ = asked(query)

    assert fields - written == set()


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_looks_for_texts_that_are_written(lines: list[dict[str, Any]], query: str) -> None:
    written = {
        value for line in lines if "_aws" not in line for value in line.values() if isinstance(value, str)
    }
    written |= OF_LAMBDA_TEXTS | {"-", "ID"} | {"WARNING", "ERROR", "CRITICAL"}

    _, texts = asked(query)

    # What no story leads to is at least in the code, as a whole text.
    code = "\n".join(path.read_text() for path in (ROOT / "layers/crypto/cmpassport").glob("*.py"))
    code += (ROOT / "functions/verify/verification.py").read_text()
    assert [text for text in texts - written if f'"{text}"' not in code] == []


def test_every_query_has_a_name_of_its_stacks_own() -> None:
    names = [RESOURCES[query]["Properties"]["Name"]["Fn::Sub"] for query in QUERIES]

    assert len(set(names)) == len(names)
    assert all(name.startswith("${AWS::StackName}/") for name in names)


def test_the_descriptions_of_alarms_name_saved_queries_that_there_are() -> None:
    names = {RESOURCES[query]["Properties"]["Name"]["Fn::Sub"].partition("/")[2] for query in QUERIES}
    told = " ".join(
        resource["Properties"]["AlarmDescription"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    )
    quoted = re.findall(r'saved quer(?:y|ies) "([^"]+)"(?: and "([^"]+)")?', told)

    assert quoted
    assert {name for pair in quoted for name in pair if name} <= names


def test_metrics_are_written_in_the_namespace_and_by_the_dimension_of_the_alarms(
    lines: list[dict[str, Any]],
) -> None:
    metrics = [line for line in lines if "_aws" in line]
    directives = [each for line in metrics for each in line["_aws"]["CloudWatchMetrics"]]

    assert {each["Namespace"] for each in directives} == {"NumberVerification"}
    assert [each["Dimensions"] for each in directives] == [[["service"]]] * len(directives)
    assert {line["service"] for line in metrics} == {f"{STACK_NAME}-presign", f"{STACK_NAME}-verify"}
    latencies = [line["PlatformLatency"] for line in metrics if "PlatformLatency" in line]
    assert all(len(each) == 1 and each[0] > 0 for each in latencies)  # one for each call
    counted = {metric["Name"] for each in directives for metric in each["Metrics"]}
    assert counted >= {"PreSignSigned", "NumberVerified", "NumberRefused", "OperatorCode", "PlatformCode"}
    assert counted >= {"PlatformError", "PlatformTimeout", "TokenRejected", "InvalidRequest"}
