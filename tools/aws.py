"""AWS as the operator reaches it, and what keeps it from answering, told apart by what there is to do."""

import argparse
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tools.findings import ToolError, UseError
from tools.messages import Text, text

_CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"total_max_attempts": 3, "mode": "standard"},
    user_agent_extra="number-verification-tools",
)
"""An operator waits seconds, not minutes."""
_NO_CREDENTIALS: Final = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
)
_BY_TYPE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((exceptions.ProfileNotFound,), "no-profile"),
    (_NO_CREDENTIALS, "credentials"),
    ((exceptions.NoRegionError, exceptions.InvalidRegionError), "no-region"),
    ((exceptions.HTTPClientError, exceptions.ConnectionError), "unreachable"),
    ((BotoCoreError,), "refused"),
    ((ResponseParserError, ValueError), "unreachable"),
)
_NOT_ACCEPTED: Final = (
    "ExpiredToken(Exception)?|InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClientException"
    "|IncompleteSignature|MissingAuthenticationToken|InvalidSignatureException|SignatureDoesNotMatch"
    "|RequestExpired|RequestTimeTooSkewed|RequestInTheFuture"
)
_BY_CODE: Final = (
    ("UnknownOperation", "", "unreachable"),
    ("AccessDenied(Exception)?|UnauthorizedOperation|DecryptionFailure|KMS.*", "", "denied"),
    ("ResourceNotFoundException", "staging label", "empty"),
    ("ResourceNotFoundException", "", "not-found"),
    ("ValidationError", "does not exist", "not-found"),  # CloudFormation's way to say so
    ("InvalidRequestException", "delet", "deleted"),
    (_NOT_ACCEPTED, "", "credentials"),
)
"""An error's code, words in its text, and the kind; the first that fits."""


class Aws:
    """AWS in one region, by --profile and --region.

    A local stack's variables give region, credentials and endpoints where the options name none. A ToolError
    says that there is no such profile, or that no region is known.
    """

    def __init__(self, options: argparse.Namespace, variables: Mapping[str, str] | None = None) -> None:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        self._variables = variables or {}
        keys: Any = {name.lower(): self._variables[name] for name in names if name in self._variables}
        with errors_in_words():
            region = options.region or self._variables.get("AWS_REGION")
            self._session = boto3.Session(profile_name=options.profile, region_name=region, **keys)
        if not self._session.region_name:
            raise UseError("aws-no-region", subject="AWS", name="-")
        self.region = str(self._session.region_name)

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service; a ToolError where the region or the endpoint is not one."""
        address = self._variables.get(
            f"AWS_ENDPOINT_URL_{service.upper()}", self._variables.get("AWS_ENDPOINT_URL")
        )
        with errors_in_words(region=self.region):
            return self._session.client(service, config=_CONFIG, endpoint_url=address)  # type: ignore[call-overload]


def said_of(error: Exception, subject: str, region: str | None = None) -> Text:
    """Say what an AWS error means here, of a secret, a stack or AWS; never the error's own text."""
    kind, name, operation = "refused", type(error).__name__, ""
    if isinstance(error, ClientError):
        content, operation = error.response.get("Error", {}), error.operation_name
        code, said = content.get("Code", ""), content.get("Message", "").lower()
        name = code if code.isidentifier() else name
        fits = (row[2] for row in _BY_CODE if re.fullmatch(row[0], code) and re.search(row[1], said))
        kind = next(fits, kind)
    else:
        kind = next(each for types, each in _BY_TYPE if isinstance(error, types))
    values = {"subject": subject, "secret": subject.removeprefix("secret "), "operation": operation}
    return text(f"aws-{kind}", region=region or "AWS", name=name, **values)


@contextmanager
def errors_in_words(subject: str = "AWS", region: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises into a ToolError."""
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:  # ValueError: no address
        said = said_of(error, subject, region)
        raise ToolError(said.key, **said.values) from None
