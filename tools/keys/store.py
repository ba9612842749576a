"""Secrets of Secrets Manager as the key commands use them: created, read, a new value put, labels moved.

A version's staging label says what it is: AWSCURRENT is what the functions read, AWSPREVIOUS what they read
before, AWSPENDING what waits. Secrets Manager moves AWSPREVIOUS by itself when AWSCURRENT moves.
"""

import argparse
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from tools.aws import client_config, errors_in_words, session
from tools.errors import WRONG_USE, ToolError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT: Final = "AWSCURRENT"
PENDING: Final = "AWSPENDING"
PREVIOUS: Final = "AWSPREVIOUS"

_ARN: Final = re.compile(r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):")


@dataclass(frozen=True, slots=True)
class Description:
    """A secret without its value.

    Attributes
    ----------
    arn
        The whole ARN, as the template's parameters want it.
    kms_key
        Its own KMS key; None for the account's default.
    versions
        Version by staging label.
    """

    arn: str
    kms_key: str | None
    versions: Mapping[str, str]


class Store:
    """Secrets Manager in one region. Every error is a ToolError that names the secret.

    Parameters
    ----------
    client
        boto3's.
    region
        Where it calls.
    """

    def __init__(self, client: "SecretsManagerClient", region: str) -> None:
        self._client = client
        self.region = region

    @classmethod
    def reach(cls, arguments: argparse.Namespace) -> Self:
        """Make the store that --profile and --region ask for; nothing is called yet."""
        made = session(arguments)
        with errors_in_words():
            return cls(made.client("secretsmanager", config=client_config()), made.region_name or "")

    def describe(self, name: str) -> Description:
        """Give what is known of a secret without reading it."""
        with self._about(name):
            answer = self._client.describe_secret(SecretId=name)
        versions = answer.get("VersionIdsToStages", {})
        labels = {label: version for version, held in versions.items() for label in held}
        return Description(answer["ARN"], answer.get("KmsKeyId"), labels)

    def read(self, name: str, label: str = CURRENT) -> str:
        """Give the text of the version that has a label."""
        with self._about(name):
            answer = self._client.get_secret_value(SecretId=name, VersionStage=label)
        if "SecretString" not in answer:
            raise ToolError(
                f"secret {name}: its value is binary, and the functions read text",
                f"Put the JSON in as text: `aws secretsmanager put-secret-value --secret-id {name} "
                "--secret-string file://FILE`.",
            )
        return answer["SecretString"]

    def create(self, name: str, text: str, description: str, kms_key: str | None = None) -> str:
        """Make a secret, or give its first value to one that has none; gives its ARN.

        Raises
        ------
        ToolError
            There is one with a value, which stays as it is.
        """
        with self._about(name):
            try:
                create = partial(
                    self._client.create_secret, Name=name, SecretString=text, Description=description
                )
                made = create() if kms_key is None else create(KmsKeyId=kms_key)
                return made["ARN"]
            except self._client.exceptions.ResourceExistsException:
                pass
        there = self.describe(name)
        if CURRENT in there.versions:
            raise AlreadyThereError(name)
        self.put(name, text)
        return there.arn

    def put(self, name: str, text: str, label: str = CURRENT) -> str:
        """Add a version with a label; gives the version."""
        with self._about(name):
            return self._client.put_secret_value(SecretId=name, SecretString=text, VersionStages=[label])[
                "VersionId"
            ]

    def replace(self, name: str, text: str, *, former: str) -> None:
        """Put a value in place of the version that it was made from.

        Raises
        ------
        ToolError
            Somebody else has written meanwhile.
        """
        if self.describe(name).versions.get(CURRENT) != former:
            raise ToolError(f"secret {name} was changed meanwhile; nothing was stored", "Run it again.")
        made = self.put(name, text)
        versions = self.describe(name).versions
        if (versions.get(CURRENT), versions.get(PREVIOUS)) != (made, former):
            raise ToolError(
                f"secret {name} was changed meanwhile: another write came between or after",
                "See what it holds now, then run it again; "
                f"`aws secretsmanager list-secret-version-ids --secret-id {name}` lists what there was.",
            )

    def move(self, name: str, label: str, *, to: str, source: str) -> None:
        """Move a label from one version to another."""
        with self._about(name):
            self._client.update_secret_version_stage(
                SecretId=name, VersionStage=label, MoveToVersionId=to, RemoveFromVersionId=source
            )

    def drop(self, name: str, label: str, version: str) -> None:
        """Take a label off a version; one without any label is deleted by Secrets Manager in time."""
        with self._about(name):
            self._client.update_secret_version_stage(
                SecretId=name, VersionStage=label, RemoveFromVersionId=version
            )

    def _about(self, name: str) -> AbstractContextManager[None]:
        """Make calls about a secret, which an ARN may say to be somewhere else."""
        arn = _ARN.match(name)
        if arn and arn["region"] != self.region:
            region = arn["region"]
            raise ToolError(
                f"secret {name} is in {region}, and {self.region} is asked",
                f"Add --region {region}.",
                WRONG_USE,
            )
        return errors_in_words(name, self.region)


class AlreadyThereError(ToolError):
    """A secret that should be made has a value already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"secret {name} is there and has a value, which stays as it is", "Use another name.")
