"""`plan KEY=VALUE`: the resources that a deployment with these parameters makes, without an account.

The template goes through SAM's own transformation, as it does in CloudFormation, and its parameters, rules
and conditions are held against the given values. It is the list that a change set for a new stack shows.
"""

import argparse
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

from local.aws import ACCOUNT_ID, REGION
from local.template import Deployment, Pseudo, Template, TemplateError
from tools import ROOT
from tools.errors import FOUND, WRONG_USE, ToolError
from tools.text import HelpFormatter, wrapped

_EXAMPLES: Final = """
examples:
  python -m tools plan                                            what the defaults make
  python -m tools plan StaticEgress=one-address Dashboard=off
  python -m tools plan Receipts=on ReceiptSecretArn=ARN
  python -m tools plan Release=2026-11-24 TrafficShift=Canary10Percent5Minutes
"""

_SECRET: Final = f"arn:aws-cn:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:made-up-a1B2c3"
_MADE_UP: Final = {
    "AppId": "000001",
    "AllowedOrigins": "https://www.abc.com",
    "SigningSecretArn": _SECRET,
    "VerificationSecretArn": _SECRET,
}
"""What stands in for what each deployment has to be given; it decides nothing about what is made."""

# Run by the Python that has the SAM CLI. Where the code comes from is no matter here, only that it is said.
_TRANSFORM: Final = """
import json, sys
import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

path, region, parameters = sys.argv[1:]
template = yaml_parse(open(path, encoding="utf-8").read())
for resource in template["Resources"].values():
    for source in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
        resource["Properties"][source] = "s3://bundles/bundle.zip"
session = boto3.Session(region_name=region)
print(json.dumps(Translator({}, Parser(), boto_session=session).translate(template, json.loads(parameters))))
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "plan",
        help="list the resources that a deployment makes; needs no account",
        description="List the resources that a deployment with these parameters makes; nothing is sent.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "parameters",
        nargs="*",
        metavar="KEY=VALUE",
        help="the template's parameters; the rest is as by default",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the resources, a line each."""
    given = dict(map(_parameter, options.parameters))
    made_up = {name: value for name, value in _MADE_UP.items() if name not in given}
    try:
        deployment = plan({**made_up, **given})
    except TemplateError as error:
        raise ToolError(
            str(error).rstrip("."), "template.yaml describes each parameter.", WRONG_USE
        ) from error
    resources = sorted(planned(deployment), key=lambda resource: resource[::-1])
    width = max(len(logical_id) for logical_id, _ in resources)
    for logical_id, kind in resources:
        print(f"{logical_id:{width}}  {kind}")
    print(
        wrapped(f"{len(resources)} resources. Made up, with no effect on these: {', '.join(made_up) or '-'}.")
    )
    return 0


def plan(parameters: Mapping[str, str], place: Pseudo | None = None) -> Deployment:
    """Give the transformed template with these parameters.

    Raises
    ------
    TemplateError
        A parameter, or what one needs of another, is not acceptable to CloudFormation.
    ToolError
        The SAM CLI is not there, or refuses the template.
    """
    place = place or Pseudo(REGION, ACCOUNT_ID, "number-verification")
    written = Template.read(ROOT / "template.yaml").deploy(parameters, place)
    for rule in written.document.get("Rules", {}).values():
        for assertion in rule["Assertions"]:
            if not written.evaluate(assertion["Assert"]):
                raise TemplateError(assertion["AssertDescription"].strip())
    # It writes lists out where they are used; all else may stay a reference.
    lists = {name: value for name, value in written.references.items() if isinstance(value, list)}
    return Template(transform(lists, place.region)).deploy(parameters, place)


def planned(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Give logical id and type of each resource that is made."""
    for logical_id, resource in deployment.document["Resources"].items():
        if "Condition" not in resource or deployment.holds(resource["Condition"]):
            yield logical_id, resource["Type"]


def transform(parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Give the template after SAM's own transformation, as CloudFormation has it.

    Raises
    ------
    ToolError
        The SAM CLI is not there, or refuses the template.
    """
    python = ROOT / ".venv-sam" / "bin" / "python"
    if not python.exists():
        raise ToolError("the SAM CLI is missing, which transforms the template", "`make sam-venv` brings it.")
    command = [str(python), "-c", _TRANSFORM, str(ROOT / "template.yaml"), region, json.dumps(parameters)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - that Python
    if run.returncode:
        raise ToolError(
            "SAM does not transform the template", "`make validate` says where it is wrong.", FOUND
        )
    template: dict[str, Any] = json.loads(run.stdout)
    return template


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ToolError(
            f"{text} is no parameter with its value", "Write KEY=VALUE, such as Receipts=on.", WRONG_USE
        )
    return name, value
