"""Commands that are shown to the operator, made whole: each names the secret, profile and region of this one.

Texts have commands in backquotes, written in short. Before a text is shown, each command of these tools, of
`aws` and of `sam` in it gets what the operator's own command line named, so that a copied line never acts on
another secret, account or region.
"""

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from tools.text import COMMAND

_AWS: Final = re.compile(r"\baws (?:cloudformation|dynamodb|ec2|kms|secretsmanager|sso|sts) [a-z-]+")
_SAM: Final = re.compile(r"\bsam (?:deploy|delete)\b")
_OWN: Final = ["python", "-m", "tools"]


class SecretKind(Enum):
    """The secrets that the tools write, by the names that they have unless told otherwise."""

    SIGNING = "number-verification/signing"
    VERIFICATION = "number-verification/verification"
    RECEIPTS = "number-verification/receipts"


@dataclass(frozen=True, slots=True)
class _Option:
    """An option that names a secret, and those that make it needless."""

    name: str
    secret: SecretKind
    instead: frozenset[str] = frozenset()


_OPTIONS: Final[Mapping[tuple[str, ...], tuple[_Option, ...]]] = {
    ("keys", "new"): (_Option("--secret", SecretKind.SIGNING, frozenset({"--out"})),),
    ("keys", "rotate"): (_Option("--secret", SecretKind.SIGNING),),
    ("keys", "put", "signing"): (_Option("--secret", SecretKind.SIGNING),),
    ("keys", "put", "verification"): (_Option("--secret", SecretKind.VERIFICATION),),
    ("keys", "check"): (
        _Option("--secret", SecretKind.SIGNING, frozenset({"--private"})),
        _Option("--verification-secret", SecretKind.VERIFICATION, frozenset({"--platform-public"})),
    ),
    ("keys", "receipts"): (_Option("--secret", SecretKind.RECEIPTS),),
}
"""By the words with which a command begins."""
_OF_A_DEPLOYMENT: Final = (("keys", "rotate"), ("doctor",))
_WITHOUT_AWS: Final = frozenset({"explain", "plan"})


@dataclass(frozen=True, slots=True)
class Given:
    """What a command line names.

    Attributes
    ----------
    secrets
        Names or ARNs; those that are not here have their usual names.
    deployment
        Option and value that name what is examined; None where none is named.
    profile, region
        As the options have them; None where they are not given.
    """

    secrets: Mapping[SecretKind, str] = field(default_factory=dict)
    deployment: tuple[str, str] | None = None
    profile: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Read a command line as it was parsed."""
        given = vars(arguments)
        named = (
            (given.get("kind"), given.get("secret")),
            (SecretKind.VERIFICATION, given.get("verification_secret")),
        )
        places = ((f"--{each}", given.get(each)) for each in ("stack", "env", "state"))
        return cls(
            {kind: name for kind, name in named if kind is not None and name},
            next(((option, str(value)) for option, value in places if value), None),
            given.get("profile"),
            given.get("region"),
        )

    def completed(self, text: str) -> str:
        """Complete each command in a text."""
        return COMMAND.sub(lambda found: f"`{self._complete(found[0][1:-1])}`", text)

    def _complete(self, command: str) -> str:
        words = command.split()
        if words[:3] == _OWN:
            if "--help" in words:
                return command
            return " ".join((command, *self._options(words)))
        return _SAM.sub(self._with_aws, _AWS.sub(self._with_aws, command))

    def _with_aws(self, found: re.Match[str]) -> str:
        rest = found.string[found.end() :].split()
        return " ".join((found[0], *_written(self._aws(), rest)))

    def _aws(self) -> list[tuple[str, str]]:
        options = (("--profile", self.profile), ("--region", self.region))
        return [(name, value) for name, value in options if value]

    def _options(self, words: list[str]) -> Iterator[str]:
        """Give what one of these tools' own commands lacks."""
        own = words[3:]
        for begin, options in _OPTIONS.items():
            if tuple(own[: len(begin)]) == begin:
                yield from _written(self._secrets(options, own), own)
        places = {"--stack", "--env", "--state"}
        if (
            self.deployment
            and not places & {*own}
            and any(tuple(own[: len(b)]) == b for b in _OF_A_DEPLOYMENT)
        ):
            yield from _written([self.deployment], own)
        if own and own[0] not in _WITHOUT_AWS:
            yield from _written(self._aws(), own)

    def _secrets(self, options: tuple[_Option, ...], words: list[str]) -> list[tuple[str, str]]:
        wanted = [option for option in options if not option.instead & {*words}]
        if all(
            self.secrets.get(option.secret, option.secret.value) == option.secret.value for option in wanted
        ):
            return []  # the usual names, which the command has by itself
        return [
            (option.name, self.secrets[option.secret]) for option in wanted if option.secret in self.secrets
        ]


def _written(options: list[tuple[str, str]], there: list[str]) -> Iterator[str]:
    for name, value in options:
        if name not in there:
            yield f"{name} {shlex.quote(value)}"
