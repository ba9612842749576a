"""What keeps an AWS service from answering, told apart by what there is to do: the one place for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tools.findings import ToolError
from tools.messages import Text, text

AWS_ERRORS: Final = (BotoCoreError, ClientError, ResponseParserError, ValueError)
"""What a call of AWS raises; an endpoint that is not an address is a ValueError."""
EVERYWHERE: Final = frozenset({"unreachable", "no-credentials", "credentials-refused", "no-region", "clock"})
"""Kinds that the next call to the same service would meet too."""

_NO_CREDENTIALS: Final = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
)
_BY_TYPE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((ResponseParserError,), "not-that-service"),
    ((exceptions.ProfileNotFound,), "no-profile"),
    (_NO_CREDENTIALS, "no-credentials"),
    ((exceptions.NoRegionError, exceptions.InvalidRegionError), "no-region"),
    ((exceptions.HTTPClientError, exceptions.ConnectionError), "unreachable"),
    ((BotoCoreError,), "refused"),
    ((ValueError,), "unreachable"),
)
_OLD: Final = "ExpiredToken(Exception)?|InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClientException"
_UNSIGNED: Final = "IncompleteSignature|MissingAuthenticationToken"
_SIGNATURE: Final = "InvalidSignatureException|SignatureDoesNotMatch"
_BY_CODE: Final = (
    ("UnknownOperation", "", "not-that-service"),
    ("AccessDenied(Exception)?", "kms", "kms-denied"),
    ("AccessDenied(Exception)?|UnauthorizedOperation", "", "denied"),
    ("DecryptionFailure|KMS.*", "", "kms-denied"),
    ("ResourceNotFoundException", "staging label", "empty"),
    ("ResourceNotFoundException", "", "not-found"),
    ("ValidationError", "does not exist", "not-found"),  # CloudFormation's way to say so
    ("ResourceExistsException", "", "exists"),
    ("InvalidRequestException", "delet", "deleted"),
    ("RequestExpired|RequestTimeTooSkewed|RequestInTheFuture", "", "clock"),
    (_SIGNATURE, "expired|not yet current", "clock"),
    (f"{_SIGNATURE}|{_OLD}|{_UNSIGNED}", "", "credentials-refused"),
)
"""An error's code, words in its text, and the kind; the first that fits."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why AWS gave no answer: kind, error code or botocore's type, operation; never the error's text."""

    kind: str
    name: str
    operation: str = ""

    def text(self, subject: str, region: str | None = None) -> Text:
        """Say it of a secret, a table or AWS."""
        secret = subject.removeprefix("secret ")
        values = {"subject": subject, "secret": secret, "name": self.name, "operation": self.operation}
        return text(f"aws-{self.kind}", region=region or "AWS", **values)


def cause_of(error: Exception) -> Cause:
    """Tell what an AWS error is."""
    if not isinstance(error, ClientError):
        return Cause(next(kind for types, kind in _BY_TYPE if isinstance(error, types)), type(error).__name__)
    content = error.response.get("Error", {})
    code, said = content.get("Code", ""), content.get("Message", "").lower()
    kinds = (kind for name, words, kind in _BY_CODE if re.fullmatch(name, code) and re.search(words, said))
    return Cause(next(kinds, "refused"), code if code.isidentifier() else "ClientError", error.operation_name)


@contextmanager
def errors_in_words(subject: str = "AWS", region: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises into a ToolError: what the error means here, of a subject in a region."""
    try:
        yield
    except AWS_ERRORS as error:
        said = cause_of(error).text(subject, region)
        raise ToolError(said.key, **said.values) from None
