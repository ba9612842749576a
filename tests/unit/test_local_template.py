from typing import Any

import pytest

from local.template import Deployment, Pseudo, Template, TemplateError

# Of what is supported, test_template.py holds the results, on the templates that there are.


def deploy(text: str, **parameters: str) -> Deployment:
    return Template.parse(text).deploy(parameters, Pseudo("cn-north-1", "123456789012", "demo"))


def evaluate(written: str) -> Any:
    """Evaluate one property, written as in a template."""
    deployment = deploy(f"""
Parameters:
  Origins: {{Type: CommaDelimitedList, Default: "https://a.example, https://b.example"}}
  Limit: {{Type: Number, Default: 5}}
Mappings: {{Lines: {{test: {{Url: http://test.example}}}}}}
Conditions: {{Five: !Equals [!Ref Limit, 5], Never: !Not [!Condition Five]}}
Resources:
  Thing: {{Type: Some::Thing, Condition: Five, Properties: {{Value: {written}}}}}
  Nothing: {{Type: Some::Thing, Condition: Never}}
""")
    (thing,) = deployment.resources("Some::Thing")
    return deployment.properties(thing).get("Value")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("!Ref Origins", ["https://a.example", "https://b.example"]),
        ('!Sub "${AWS::URLSuffix}"', "amazonaws.com.cn"),
        ("2012-10-17", "2012-10-17"),
        ("{Condition: {StringEquals: {a: b}}}", {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)
def test_a_value_is_what_cloudformation_makes_of_it(written: str, expected: object) -> None:
    assert evaluate(written) == expected


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("!Cidr [10.0.0.0/16, 2, 8]", "Fn::Cidr"),
        ("!Ref Nobody", "Ref Nobody"),
        ("!GetAtt Nobody.Arn", "GetAtt Nobody.Arn"),
        ("!FindInMap [Lines, production, Url]", "production.Url"),
        ("!If [Nobody, 1, 2]", "condition Nobody"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_that_names_it(written: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named.replace(".", r"\.")):
        evaluate(written)


def test_globals_are_merged_and_the_function_has_the_last_word() -> None:
    deployment = deploy("""
Globals:
  Function: {Timeout: 5, Layers: [shared], Environment: {Variables: {A: shared, B: !Ref AWS::Region}}}
Resources:
  Handler:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 9, Layers: [own], Environment: {Variables: {A: own}}}
""")

    properties = deployment.properties("Handler")

    assert properties.get("Timeout") == 9
    assert properties.get("Layers") == ["shared", "own"]
    assert properties.get("Environment") == {"Variables": {"A": "own", "B": "cn-north-1"}}


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
