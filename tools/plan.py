"""`plan KEY=VALUE`: checks the answers of a deployment without an account, and lists what they make.

The values come from samconfig.toml and the command line; they are held against template.yaml's patterns and
rules, whatever it says. The resources are those that CloudFormation makes for them, before SAM adds its own.
"""

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from local.aws import ACCOUNT_ID, REGION
from local.template import Pseudo, Template, TemplateError
from tools import ROOT
from tools.findings import UseError
from tools.output import Output

_SECRET: Final = f"arn:aws-cn:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:made-up-a1B2c3"
_MADE_UP: Final = {
    "AppId": "000001",
    "Line": "test",
    "AllowedOrigins": "https://www.abc.com",
    "SigningSecretArn": _SECRET,
    "VerificationSecretArn": _SECRET,
}
"""What stands in for what each deployment has to be given."""
_DIGITS_IN_PRODUCTION: Final = 12


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the resources, a line each."""
    document = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    deploy = document.get(options.config_env or "default", {}).get("deploy", {})
    answers = deploy.get("parameters", {}).get("parameter_overrides", "")
    configured = answers if isinstance(answers, list) else shlex.split(answers)
    given = dict(map(_parameter, (*configured, *options.parameters)))
    try:
        resources = sorted(_planned({**_MADE_UP, **given}), key=lambda resource: resource[::-1])
    except TemplateError as error:
        raise UseError("plan-refused", reason=str(error).rstrip(".")) from None
    width = max(len(logical_id) for logical_id, _ in resources)
    for logical_id, kind in resources:
        print(f"{logical_id:{width}}  {kind}")
    made_up = ", ".join(name for name in _MADE_UP if name not in given)
    output.show("plan-count", count=len(resources), names=made_up or "-")
    return 0


def _planned(parameters: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield logical id and type of each resource; a TemplateError for what CloudFormation does not accept."""
    place = Pseudo(REGION, ACCOUNT_ID, "number-verification")
    deployment = Template.read(ROOT / "template.yaml").deploy(parameters, place)
    for rule in deployment.document.get("Rules", {}).values():
        for assertion in rule["Assertions"]:
            if not deployment.evaluate(assertion["Assert"]):
                raise TemplateError(assertion["AssertDescription"].strip())
    # Else a real application's requests would travel in the clear; a rule of the template looks into no text.
    if parameters["Line"] == "test" and len(parameters["AppId"]) == _DIGITS_IN_PRODUCTION:
        raise TemplateError("AppId: an app whose appId has 12 digits is of Line=production")
    for logical_id, resource in deployment.document["Resources"].items():
        if "Condition" not in resource or deployment.holds(resource["Condition"]):
            yield logical_id, resource["Type"]


def _parameter(word: str) -> tuple[str, str]:
    name, separator, value = word.partition("=")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
        raise UseError("not-a-parameter", given=name if separator and len(name) < 20 else "…")  # noqa: PLR2004
    return name, value
