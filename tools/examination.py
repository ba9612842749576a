"""What a command is about, a deployed stack or the running local one, and what is known of it."""

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from cmpassport.settings import SettingsError
from jwks.settings import Settings as ReceiptKeysSettings
from local import state
from presign.settings import Settings as PreSignSettings
from tools.aws import Aws, errors_in_words
from tools.findings import Finding, ToolError, UseError, fine, warning
from tools.given import SecretKind, is_name, of_secrets
from tools.messages import Text, text
from tools.secret_text import Keys, examine_secret
from tools.store import Secret
from verify.settings import Settings as VerifySettings

PRESIGN: Final = "PreSignFunction"
VERIFY: Final = "VerifyFunction"
RECEIPT_KEYS: Final = "ReceiptKeysFunction"
"""There where receipts are on."""
SETTINGS: Final[dict[str, Any]] = {
    PRESIGN: PreSignSettings,
    VERIFY: VerifySettings,
    RECEIPT_KEYS: ReceiptKeysSettings,
}
SIGNING: Final = "SIGNING_SECRET_ID"
VERIFICATION: Final = "VERIFICATION_SECRET_ID"
PEPPER: Final = "PEPPER_SECRET_ID"
RECEIPTS: Final = "RECEIPT_SECRET_ID"

_ARN: Final = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:(.+?)(?:-[A-Za-z0-9]{6})?")
_RELEASE: Final = re.compile(r"\bRelease ([A-Za-z0-9._-]+), settings .*")
"""How a description of template.yaml ends: a version has no more, $LATEST has words before it."""
_STACK: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}|arn:[a-z-]+:cloudformation:[A-Za-z0-9:/-]+")


@dataclass(kw_only=True)
class Examination:
    """A stack, and what is known of it; each fact is looked at when it is first asked for, and then stays."""

    name: Text
    is_local: bool
    variables: Mapping[str, Mapping[str, str]] = field(repr=False)
    """The functions' environment variables, by logical id."""
    aws: Aws
    now: Callable[[], datetime]
    api: str
    """The API's base address, without a trailing slash; empty where there is none to call."""
    pages: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    egress: tuple[str, ...] = ()
    """The addresses from which the platform is called; empty where they are not known."""
    _secrets: dict[str, str | Text] = field(default_factory=dict, repr=False)

    @cached_property
    def settings(self) -> VerifySettings | None:
        """The verification's settings; None where its function refuses a variable."""
        try:
            return VerifySettings.from_environment(self.variables[VERIFY])
        except SettingsError:
            return None

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins, in their order."""
        entries = self.variables[VERIFY].get("ALLOWED_ORIGINS", "").split(",")
        return tuple(dict.fromkeys(entry.strip() for entry in entries if entry.strip()))

    def secret_id(self, variable: str) -> str:
        """Return the name or ARN by which the functions know a secret; empty for none."""
        return next((each[variable].strip() for each in self.variables.values() if variable in each), "")

    def secret_name(self, variable: str) -> str:
        """Return a secret's name, out of its ARN where the functions have that."""
        whole = self.secret_id(variable)
        match = _ARN.fullmatch(whole)
        return match[1] if match else whole if is_name(whole) else variable

    def shown_secrets(self) -> dict[str, str]:
        """Return what names the stack's own secrets in commands that are shown."""
        variables = (SIGNING, VERIFICATION, RECEIPTS)
        return of_secrets(dict(zip(SecretKind, map(self.secret_name, variables), strict=True)))

    def secret(self, variable: str) -> str | Text | None:
        """Return a secret's text, or what is said where there is none; None where none is named."""
        name = self.secret_id(variable)
        if variable not in self._secrets and name:
            try:
                self._secrets[variable] = Secret(self.aws, name).read()
            except ToolError as error:
                self._secrets[variable] = error.text
        return self._secrets.get(variable)

    @cached_property
    def keys(self) -> Keys:
        """What the two secrets hold, and what is wrong with it."""
        keys = Keys()
        for variable, kind in ((SIGNING, SecretKind.SIGNING), (VERIFICATION, SecretKind.VERIFICATION)):
            content = self.secret(variable)
            if isinstance(content, str):
                keys |= examine_secret(content, self.secret_name(variable), kind)
        return keys


def is_named(options: argparse.Namespace) -> bool:
    """Tell whether the command line names a stack."""
    return options.stack is not None or options.state is not None


def find(options: argparse.Namespace) -> Examination:
    """Find what the command line names: by default the running local stack."""
    if options.stack is not None:
        return _deployed(options)
    path = options.state or state.DEFAULT_FILE
    functions = state.find_functions(path)
    if not functions:
        raise UseError("no-local-stack")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Examination(
        name=text("target-local", api=content["api"]),
        is_local=True,
        variables={name: function.variables for name, function in functions.items()},
        aws=Aws(options, {**functions[VERIFY].variables, "AWS_REGION": content["region"]}),
        now=options.clock,
        api=content["api"],
        pages=(f"{content['page']}/",),
    )


def _deployed(options: argparse.Namespace) -> Examination:
    """See what CloudFormation says of a stack, and what Lambda runs of its functions."""
    if not _STACK.fullmatch(options.stack):  # which is not shown: it may be anything
        raise UseError("no-stack-name")
    aws = Aws(options)
    where = {"stack": options.stack, "region": aws.region}
    with errors_in_words(f"stack {options.stack}", aws.region):
        stack = aws.client("cloudformation").describe_stacks(StackName=options.stack)["Stacks"][0]
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}
        status = _status_of(stack["StackStatus"], where)
        running = {name: _function(aws, options.stack, name) for name in (PRESIGN, VERIFY)}
        receipts = running[VERIFY]["Variables"]
        if receipts.get(RECEIPTS) and receipts.get("RECEIPTS", "on") != "off":
            running[RECEIPT_KEYS] = _function(aws, options.stack, RECEIPT_KEYS)
    return Examination(
        name=text("target-stack", **where),
        is_local=False,
        variables={name: each["Variables"] for name, each in running.items()},
        aws=aws,
        now=options.clock,
        api=outputs.get("ApiUrl", "").rstrip("/"),
        findings=(status, *_releases(running, settled="IN_PROGRESS" not in stack["StackStatus"])),
    )


def _status_of(status: str, where: Mapping[str, Any]) -> Finding:
    """Say how far a deployment is; a ToolError where it was never whole."""
    if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return fine("stack-found", status=status, **where)
    if status.endswith(("UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "_IN_PROGRESS")):
        return warning("stack-unsettled", status=status, **where)
    raise ToolError("stack-unfinished", status=status, **where)


def _function(aws: Aws, stack: str, logical_id: str) -> dict[str, Any]:
    """Return what runs, the alias `live`, which the API calls; `Latest` describes what was deployed last."""
    with errors_in_words(f"{stack}, {logical_id}", aws.region):
        resource = aws.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId=logical_id
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        functions = aws.client("lambda")
        latest = functions.get_function_configuration(FunctionName=name)
        found = functions.get_function_configuration(FunctionName=name, Qualifier="live")
    environment = found.get("Environment", {})
    if "Error" in environment:
        raise ToolError("aws-denied", subject=logical_id, name=environment["Error"].get("ErrorCode"))
    return {**found, "Variables": environment.get("Variables", {}), "Latest": latest.get("Description", "")}


def _releases(running: Mapping[str, Mapping[str, Any]], *, settled: bool) -> Iterator[Finding]:
    """Say which release runs, by the description of its version; and whether it is the one deployed last."""
    for function, each in running.items():
        runs, latest = (_RELEASE.search(each.get(name, "")) for name in ("Description", "Latest"))
        if runs is None:
            continue
        said = {"function": function, "release": runs[1], "version": each["Version"]}
        if not settled or latest is None or latest[0] == runs[0]:
            yield fine("release", **said)
        elif latest[1] == runs[1]:
            yield warning("release-former-settings", **said)
        else:
            yield warning("release-set-back", latest=latest[1], **said)
