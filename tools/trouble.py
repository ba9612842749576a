"""What keeps an AWS service from answering, told apart by what there is to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, and only in the pattern below
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

AwsError = BotoCoreError | ClientError | ResponseParserError
AWS_ERRORS: Final = (BotoCoreError, ClientError, ResponseParserError)
"""What a call of AWS raises."""


class Kind(Enum):
    """Kinds of trouble, by what mends them."""

    NOT_FOUND = "not-found"
    NO_VALUE = "empty"
    DELETED = "deleted"
    BINARY = "binary"
    WRONG_REGION = "wrong-region"
    NO_NAME = "no-name"
    DENIED = "denied"
    KMS_DENIED = "kms-denied"
    UNREACHABLE = "unreachable"
    NOT_THAT_SERVICE = "not-that-service"
    NO_CREDENTIALS = "no-credentials"
    CREDENTIALS_REFUSED = "credentials-refused"
    NO_REGION = "no-region"
    CLOCK = "clock"
    OTHER = "refused"


EVERYWHERE: Final = frozenset(
    {Kind.UNREACHABLE, Kind.NO_CREDENTIALS, Kind.CREDENTIALS_REFUSED, Kind.NO_REGION, Kind.CLOCK}
)
"""What the next call to the same service would meet too."""

AWS_REMEDIES: Final[Mapping[Kind, str]] = {
    Kind.UNREACHABLE: (
        "Check the network, the proxy and the region's name; where AWS_ENDPOINT_URL is set, that it answers."
    ),
    Kind.NOT_THAT_SERVICE: (
        "What answers there is not this service. AWS_ENDPOINT_URL, or endpoint_url of the profile, names it: "
        "for a deployment, unset that; a local stack is looked over without --stack."
    ),
    Kind.NO_CREDENTIALS: (
        "Log in to AWS (`aws sso login`, `aws configure`), or name a profile with --profile; "
        "`aws sts get-caller-identity` shows who you are."
    ),
    Kind.CREDENTIALS_REFUSED: (
        "These credentials are old or another partition's. Log in again, or name a profile with --profile; "
        "`aws sts get-caller-identity` shows who you are."
    ),
    Kind.NO_REGION: "Name the region with --region, such as cn-north-1 or eu-central-1.",
    Kind.CLOCK: "Set this machine's clock: AWS takes no request that is more than five minutes off.",
}
"""What to do where AWS did not answer at all, whatever was asked for."""

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "UnrecognizedClientException",
    }
)
_SIGNATURE: Final = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
_CLOCK: Final = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why AWS gave no answer.

    Attributes
    ----------
    kind
        What mends it.
    name
        AWS's error code or botocore's type; never the error's text.
    """

    kind: Kind
    name: str


def classify(error: AwsError) -> Trouble:
    """Tell an AWS error's kind."""
    if isinstance(error, ResponseParserError):
        return Trouble(Kind.NOT_THAT_SERVICE, type(error).__name__)
    if not isinstance(error, ClientError):
        return Trouble(_of_botocore(error), type(error).__name__)
    content = error.response.get("Error", {})
    code, text = content.get("Code", ""), content.get("Message", "")
    return Trouble(_of_service(code, text), code if code.isidentifier() else "ClientError")


def _of_botocore(error: BotoCoreError) -> Kind:
    match error:
        case (
            NoCredentialsError()
            | PartialCredentialsError()
            | ProfileNotFound()
            | CredentialRetrievalError()
            | TokenRetrievalError()
            | SSOError()
        ):
            return Kind.NO_CREDENTIALS
        case NoRegionError() | InvalidRegionError():
            return Kind.NO_REGION
        case HTTPClientError() | ConnectionError():
            return Kind.UNREACHABLE
        case _:
            return Kind.OTHER


def _of_service(code: str, text: str) -> Kind:
    text = text.lower()
    kind = Kind.OTHER
    if code == "UnknownOperation":
        kind = Kind.NOT_THAT_SERVICE
    elif code in _DENIED:
        kind = Kind.KMS_DENIED if "kms" in text else Kind.DENIED
    elif code == "DecryptionFailure" or code.startswith("KMS"):
        kind = Kind.KMS_DENIED
    elif code == "ResourceNotFoundException":
        # The secret is there, and nothing has been put into it.
        kind = Kind.NO_VALUE if "staging label" in text else Kind.NOT_FOUND
    elif code == "ValidationError" and "does not exist" in text:  # CloudFormation's way to say so
        kind = Kind.NOT_FOUND
    elif code == "InvalidRequestException" and "delet" in text:
        kind = Kind.DELETED
    elif code in _CLOCK or (code in _SIGNATURE and ("expired" in text or "not yet current" in text)):
        kind = Kind.CLOCK
    elif code in _CREDENTIALS or code in _SIGNATURE:
        kind = Kind.CREDENTIALS_REFUSED
    return kind
