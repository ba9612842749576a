"""How the key commands show what they found and made."""

import argparse
import sys
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tools.commands import Given
from tools.findings import Finding, Group
from tools.keys.pairs import bare_public, fingerprint
from tools.keys.people import say
from tools.paper import Paper, failed
from tools.text import wrapped


def show_findings(arguments: argparse.Namespace, title: str, findings: Sequence[Finding]) -> bool:
    """Print findings as the doctor does, each with its remedy; tells whether one is a fault."""
    group = Group(title, tuple(findings)).completed(Given.of(arguments))
    paper = Paper(sys.stdout)
    paper.group(group)
    paper.summary()
    return failed([group])


def show_public_half(key: RSAPublicKey) -> None:
    """Print a public half as the open platform wants it, on a line of its own that can be copied whole."""
    print("Public half, for the open platform's field of the customer's public key (客户公钥):")
    print()
    print(bare_public(key))
    print()
    print(f"SHA-256           {fingerprint(key)}")


def show_parameter(arguments: argparse.Namespace, name: str, arn: str, kms_key: str | None) -> None:
    """Print what the deployment's parameters are set to."""
    print(f"{name:<17} {arn}")
    if kms_key is None:
        return
    find = Given.of(arguments).completed(
        f"`aws kms describe-key --key-id {kms_key} --query KeyMetadata.Arn --output text`"
    )
    print(f"SecretsKmsKeyArn  {kms_key if kms_key.startswith('arn:') else f'the ARN that {find} prints'}")


def show_next(arguments: argparse.Namespace, *steps: str) -> None:
    """Print what to do next."""
    print()
    print("Next:")
    for number, step in enumerate(steps, 1):
        print(wrapped(Given.of(arguments).completed(step), f"  {number}. "))


def advise(arguments: argparse.Namespace, text: str) -> None:
    """Tell what can be done, to standard error."""
    say(wrapped(Given.of(arguments).completed(text)))
