"""Secrets of Secrets Manager as the key commands use them: created, read, a new value put, labels moved.

A version's staging label says what it is: AWSCURRENT is what the functions read, AWSPREVIOUS what they read
before, AWSPENDING what waits. Secrets Manager moves AWSPREVIOUS by itself when AWSCURRENT moves.
"""

import argparse
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from tools.aws import Aws, errors_in_words
from tools.findings import ToolError, UseError
from tools.given import is_name

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT: Final = "AWSCURRENT"
PENDING: Final = "AWSPENDING"
PREVIOUS: Final = "AWSPREVIOUS"

_ARN: Final = re.compile(r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):")


@dataclass(frozen=True, slots=True)
class Description:
    """A secret without its value: whole ARN, its own KMS key or None, version by staging label."""

    arn: str
    kms_key: str | None
    versions: Mapping[str, str]


class Store:
    """Secrets Manager in one region. Every error is a ToolError that names the secret."""

    def __init__(self, aws: Aws) -> None:
        self._client: SecretsManagerClient = aws.client("secretsmanager")
        self.region = aws.region

    @classmethod
    def reach(cls, options: argparse.Namespace) -> Self:
        """Make the store that --profile and --region ask for; nothing is called yet."""
        return cls(Aws(options))

    def describe(self, name: str) -> Description:
        """Return what is known of a secret without reading it."""
        with self._about(name):
            answer = self._client.describe_secret(SecretId=name)
        versions = answer.get("VersionIdsToStages", {})
        labels = {label: version for version, held in versions.items() for label in held}
        return Description(answer["ARN"], answer.get("KmsKeyId"), labels)

    def read(self, name: str, label: str = CURRENT) -> str:
        """Return the text of the version that has a label."""
        with self._about(name):
            answer = self._client.get_secret_value(SecretId=name, VersionStage=label)
        if "SecretString" not in answer:
            raise ToolError("secret-is-binary", secret=name)
        return answer["SecretString"]

    def refuse_taken(self, name: str, key: str) -> None:
        """Raise the error with a message's key where a secret has a value."""
        try:
            there = self.describe(name)
        except ToolError as error:
            if error.text.key != "aws-not-found":
                raise
            return
        if CURRENT in there.versions:
            raise ToolError(key, secret=name)

    def create(self, name: str, content: str, description: str, kms_key: str | None, taken: str) -> str:
        """Make a secret, or give its first value to one that has none; return its ARN.

        One that has a value stays as it is: a ToolError with the message `taken`.
        """
        options: Any = {"KmsKeyId": kms_key} if kms_key else {}
        with self._about(name):
            try:
                return self._client.create_secret(
                    Name=name, SecretString=content, Description=description, **options
                )["ARN"]
            except self._client.exceptions.ResourceExistsException:
                self.refuse_taken(name, taken)
        self.put(name, content)
        return self.describe(name).arn

    def put(self, name: str, content: str, label: str = CURRENT) -> None:
        """Add a version with a label."""
        with self._about(name):
            self._client.put_secret_value(SecretId=name, SecretString=content, VersionStages=[label])

    def move(self, name: str, label: str, *, source: str, to: str | None = None) -> None:
        """Take a label off a version, and put it on another if one is named.

        Secrets Manager deletes a version without any label in time.
        """
        options: Any = {"MoveToVersionId": to} if to else {}
        with self._about(name):
            self._client.update_secret_version_stage(
                SecretId=name, VersionStage=label, RemoveFromVersionId=source, **options
            )

    def _about(self, name: str) -> AbstractContextManager[None]:
        """Make calls about a secret, which an ARN may say to be somewhere else."""
        if not is_name(name):  # AWS writes down which names it is asked for
            raise ToolError("secret-is-a-key")
        arn = _ARN.match(name)
        if arn and arn["region"] != self.region:
            raise UseError("secret-is-elsewhere", secret=name, there=arn["region"], region=self.region)
        return errors_in_words(f"secret {name}", self.region)
