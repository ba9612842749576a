"""A secret of Secrets Manager as the key commands use it: created, read, a new value put, labels moved.

A version's staging label says what it is: AWSCURRENT is what the functions read, AWSPREVIOUS what they read
before, AWSPENDING what waits. Secrets Manager moves AWSPREVIOUS by itself when AWSCURRENT moves.
"""

import argparse
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Self

from cmpassport.aws import SecretsManagerClient
from tools.aws import Aws, errors_in_words
from tools.findings import ToolError, UseError
from tools.given import SecretKind, is_name

CURRENT: Final = "AWSCURRENT"
PENDING: Final = "AWSPENDING"
PREVIOUS: Final = "AWSPREVIOUS"

_DESCRIPTIONS: Final = {
    SecretKind.SIGNING: "Signs for China Mobile's H5 number verification: the customer's private key.",
    SecretKind.VERIFICATION: "What the open platform shows for an app: appKey and its own public key.",
    SecretKind.RECEIPTS: "Signs the receipts of H5 number verification; not the platform's key.",
}
_ARN: Final = re.compile(r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):")


@dataclass(frozen=True, slots=True)
class Description:
    """A secret without its value: whole ARN, its own KMS key or None, version by staging label."""

    arn: str
    kms_key: str | None
    versions: Mapping[str, str]


class Secret:
    """A secret by its name or ARN. Every error is a ToolError that names it."""

    _client: SecretsManagerClient

    def __init__(self, aws: Aws, name: str) -> None:
        self._client = aws.client("secretsmanager")
        self.region = aws.region
        self.name = name

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Return the secret that a command is about; nothing is called yet."""
        return cls(Aws(options), options.secret or options.kind.value)

    def describe(self) -> Description:
        """Return what is known of it without reading it."""
        with self._about():
            answer = self._client.describe_secret(SecretId=self.name)
        versions = answer.get("VersionIdsToStages", {})
        labels = {label: version for version, held in versions.items() for label in held}
        return Description(answer["ARN"], answer.get("KmsKeyId"), labels)

    def read(self, label: str = CURRENT) -> str:
        """Return the text of the version that has a label."""
        with self._about():
            answer = self._client.get_secret_value(SecretId=self.name, VersionStage=label)
        if "SecretString" not in answer:
            raise ToolError("secret-is-binary", secret=self.name)
        return answer["SecretString"]

    def refuse_taken(self, kind: SecretKind) -> None:
        """Raise a ToolError, which says how one of this kind is changed, where it has a value."""
        try:
            there = self.describe()
        except ToolError as error:
            if error.text.key != "aws-not-found":
                raise
            return
        if CURRENT in there.versions:
            raise ToolError(f"taken-{kind.name.lower()}", secret=self.name)

    def create(self, content: str, kind: SecretKind, kms_key: str | None) -> None:
        """Make it, or give it its first value; one that has a value stays as it is: a ToolError."""
        options: Any = {"KmsKeyId": kms_key} if kms_key else {}
        with self._about():
            try:
                self._client.create_secret(
                    Name=self.name, SecretString=content, Description=_DESCRIPTIONS[kind], **options
                )
            except self._client.exceptions.ResourceExistsException:
                self.refuse_taken(kind)
                self.put(content)

    def put(self, content: str, label: str = CURRENT) -> None:
        """Add a version with a label."""
        with self._about():
            self._client.put_secret_value(SecretId=self.name, SecretString=content, VersionStages=[label])

    def move(self, label: str, *, source: str, to: str | None = None) -> None:
        """Take a label off a version, and put it on another if one is named.

        Secrets Manager deletes a version without any label in time.
        """
        options: Any = {"MoveToVersionId": to} if to else {}
        with self._about():
            self._client.update_secret_version_stage(
                SecretId=self.name, VersionStage=label, RemoveFromVersionId=source, **options
            )

    def _about(self) -> AbstractContextManager[None]:
        """Make calls about the secret, which an ARN may say to be somewhere else."""
        if not is_name(self.name):  # AWS writes down which names it is asked for
            raise ToolError("secret-is-a-key")
        arn = _ARN.match(self.name)
        if arn and arn["region"] != self.region:
            raise UseError("secret-is-elsewhere", secret=self.name, there=arn["region"], region=self.region)
        return errors_in_words(f"secret {self.name}", self.region)
