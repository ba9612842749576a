from typing import Any

import pytest

from local.template import Deployment, Pseudo, Template, TemplateError

CHINA = Pseudo("cn-north-1", "123456789012", "demo")


def deploy(text: str, **parameters: str) -> Deployment:
    return Template.parse(text).deploy(parameters, CHINA)


def evaluate(value: str) -> Any:
    """Evaluate one property, written as in a template."""
    deployment = deploy(f"""
Parameters:
  Line: {{Type: String, Default: test}}
  Origins: {{Type: CommaDelimitedList, Default: "https://a.example, https://b.example"}}
  Limit: {{Type: Number, Default: 5}}
Mappings:
  Lines: {{test: {{Url: http://test.example}}}}
Conditions:
  IsTest: !Equals [!Ref Line, test]
  IsProduction: !Not [!Condition IsTest]
  Both: !And [!Condition IsTest, !Condition IsProduction]
  Either: !Or [!Condition IsTest, !Condition IsProduction]
Resources:
  Thing:
    Type: Some::Thing
    Properties: {{Value: {value}}}
""")
    deployment.created("Table", "attempts", Arn="arn:table")
    return deployment.properties("Thing").get("Value", "absent")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("!Ref Limit", "5"),
        ("!Ref Origins", ["https://a.example", "https://b.example"]),
        ("!Ref AWS::Region", "cn-north-1"),
        ("!Ref Table", "attempts"),
        ("!GetAtt Table.Arn", "arn:table"),
        ('!Sub "${AWS::URLSuffix}/${Table}/${Table.Arn}"', "amazonaws.com.cn/attempts/arn:table"),
        ('!Sub ["${Own}-${Line}", {Own: !Ref Limit}]', "5-test"),
        ('!Join [",", !Ref Origins]', "https://a.example,https://b.example"),
        ("!Select [1, !Ref Origins]", "https://b.example"),
        ('!Split ["-", "a-b"]', ["a", "b"]),
        ("!FindInMap [Lines, !Ref Line, Url]", "http://test.example"),
        ("!If [Both, 1, 2]", 2),
        ("!If [Either, 1, 2]", 1),
        ("!Ref AWS::NoValue", "absent"),
        ("{Kept: 1, Gone: !Ref AWS::NoValue}", {"Kept": 1}),
        ("2012-10-17", "2012-10-17"),
        ("{Condition: {StringEquals: {a: b}}}", {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)
def test_an_intrinsic_function_gives_what_cloudformation_gives(written: str, expected: object) -> None:
    assert evaluate(written) == expected


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("!ImportValue Other", "Fn::ImportValue"),
        ("!Ref Nobody", "Ref Nobody"),
        ("!FindInMap [Lines, production, Url]", "production.Url"),
        ("!If [Nobody, 1, 2]", "condition Nobody"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_that_names_it(written: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named.replace(".", r"\.")):
        evaluate(written)


def test_a_resource_whose_condition_does_not_hold_is_not_there() -> None:
    deployment = deploy("""
Conditions: {Never: !Equals [a, b], Always: !Equals [a, a]}
Resources:
  Plain: {Type: Some::Thing}
  Absent: {Type: Some::Thing, Condition: Never}
  Present: {Type: Some::Thing, Condition: Always}
""")

    assert list(deployment.resources("Some::Thing")) == ["Plain", "Present"]


def test_globals_are_merged_and_the_function_has_the_last_word() -> None:
    deployment = deploy("""
Globals:
  Function:
    Timeout: 5
    Layers: [shared]
    Environment: {Variables: {A: shared, B: !Ref AWS::Region}}
Resources:
  Handler:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 9
      Layers: [own]
      Environment: {Variables: {A: own, C: own}}
""")

    properties = deployment.properties("Handler")

    assert properties.get("Timeout") == 9
    assert properties.get("Layers") == ["shared", "own"]
    assert properties.get("Environment") == {"Variables": {"A": "own", "B": "cn-north-1", "C": "own"}}


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("Type: String, AllowedPattern: '[0-9]{6}'", "000001\n"),
        ("Type: String, AllowedValues: [test, production]", "Test"),
        ("Type: String, MaxLength: 3", "abcd"),
        ("Type: Number, MinValue: 1, MaxValue: 10", "10.5"),
        ("Type: Number", "ten"),
        ("Type: CommaDelimitedList, AllowedPattern: 'https://[a-z.]+'", "https://a.example,https://b/"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_the_templates_own_words(spec: str, value: str) -> None:
    text = f"Parameters: {{P: {{{spec}, ConstraintDescription: it must be right}}}}\nResources: {{}}"

    with pytest.raises(TemplateError, match=r"^parameter P: it must be right$"):
        deploy(text, P=value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Parameters: {P: {Type: String}}\nResources: {}", "P has no value"),
        ("Resources: {}", "no parameter Q"),
        ("just text", "no Resources"),
    ],
)
def test_what_cannot_be_deployed_is_an_error(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        deploy(text, **({"Q": "1"} if "Q" in said else {}))
