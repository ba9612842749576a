"""AWS as the operator reaches it: profile and region by option, the rest as boto3 finds it; errors in words.

boto3 reads AWS_ENDPOINT_URL and the like by itself. What a service says of an error is not printed: the
operator gets the error's code, what it means here, and what to do next.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tools.errors import WRONG_USE, ToolError

if TYPE_CHECKING:
    import boto3

    from tools.trouble import AwsError

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10

_WHO_AM_I: Final = "`aws sts get-caller-identity` shows who you are to AWS"


def add_aws_options(parser: argparse.ArgumentParser) -> None:
    """Add --profile and --region."""
    group = parser.add_argument_group(
        "AWS", "Credentials, region and AWS_ENDPOINT_URL are found as the aws command finds them."
    )
    group.add_argument("--profile", metavar="NAME", help="profile of ~/.aws/config")
    group.add_argument("--region", metavar="REGION", help="region, such as cn-north-1 or eu-central-1")


def session(arguments: argparse.Namespace) -> "boto3.Session":
    """Make the session that --profile and --region ask for.

    Raises
    ------
    ToolError
        There is no such profile, or no region is known.
    """
    import boto3  # noqa: PLC0415 - a third of a second, which only commands that use AWS need
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    with errors_in_words():
        try:
            made = boto3.Session(profile_name=arguments.profile, region_name=arguments.region)
        except ProfileNotFound:
            raise ToolError(
                "there is no AWS profile of that name", "`aws configure list-profiles` lists them.", WRONG_USE
            ) from None
    if made.region_name is None:
        raise ToolError(
            "no AWS region is set",
            "Name one: --region cn-north-1, or set AWS_DEFAULT_REGION or the profile's region.",
            WRONG_USE,
        )
    return made


def client_config() -> Any:
    """Give the options of each client: an operator waits seconds, not minutes."""
    from botocore.config import Config  # noqa: PLC0415 - as in `session`

    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 3, "mode": "standard"},
        user_agent_extra="number-verification-tools",
    )


@contextmanager
def errors_in_words(secret: str | None = None, region: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises into a ToolError.

    Parameters
    ----------
    secret
        Name of the secret that the calls inside are about; None where they are about none.
    region
        Where they go.
    """
    from tools.trouble import AWS_ERRORS  # noqa: PLC0415 - as in `session`

    try:
        yield
    except AWS_ERRORS as error:
        raise _in_words(error, secret, f" in {region}" if region else "") from None


def _in_words(error: "AwsError", secret: str | None, where: str) -> ToolError:
    from tools.trouble import AWS_REMEDIES, Kind, classify  # noqa: PLC0415 - as in `session`

    trouble = classify(error)
    operation = getattr(error, "operation_name", "the call")
    what, remedy = {
        Kind.NOT_FOUND: (
            f"there is no such secret{where}",
            (
                "Check its name and the region (--region); `aws secretsmanager list-secrets --query "
                "'SecretList[].Name'` lists what there is."
            ),
        ),
        Kind.NO_VALUE: (
            "the secret is there, but has no value yet",
            (
                "Put one in by the command that makes it: `python -m tools keys new`, `python -m tools keys "
                "put verification` or `python -m tools keys receipts new`."
            ),
        ),
        Kind.DELETED: (
            "the secret is to be deleted soon and cannot be used",
            (
                f"Take it back with `aws secretsmanager restore-secret --secret-id {secret}`, or use another "
                "name."
            ),
        ),
        Kind.WRONG_REGION: ("the secret is in another region", "Name that region with --region."),
        Kind.DENIED: (
            f"AWS denies {operation}{where}",
            f"Have this identity allowed secretsmanager:{operation} on it; {_WHO_AM_I}.",
        ),
        Kind.KMS_DENIED: (
            "the KMS key of the secret cannot be used",
            (
                "Have this identity allowed kms:Decrypt and kms:GenerateDataKey on that key, and see that it "
                "is enabled."
            ),
        ),
        Kind.UNREACHABLE: (f"AWS cannot be reached{where}", ""),
        Kind.NOT_THAT_SERVICE: ("what answers is not Secrets Manager", ""),
        Kind.NO_CREDENTIALS: ("there are no AWS credentials", ""),
        Kind.CREDENTIALS_REFUSED: ("AWS does not accept the credentials", ""),
        Kind.NO_REGION: ("no AWS region is set, or its name is wrong", ""),
        Kind.CLOCK: ("this machine's clock is wrong", ""),
    }.get(
        trouble.kind,
        (f"AWS refuses {operation}", "AWS's documentation of that operation says what the code means."),
    )
    subject = f"secret {secret}" if secret else "AWS"
    return ToolError(f"{subject}: {what} ({trouble.name})", AWS_REMEDIES.get(trouble.kind, remedy))
