"""How the key commands show what they found and made."""

import argparse
import sys
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tools.aws import same_options
from tools.doctor.findings import Finding
from tools.keys.pairs import bare_public, fingerprint
from tools.text import wrapped


def show_findings(title: str, findings: Sequence[Finding]) -> bool:
    """Print findings as the doctor does, each with its remedy; tells whether one is a fault."""
    from tools.doctor.examination import Group  # noqa: PLC0415 - a third of a second, which --help does without
    from tools.doctor.report import Paper, failed  # noqa: PLC0415

    group = Group(title, tuple(findings))
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


def show_parameter(name: str, arn: str, kms_key: str | None) -> None:
    """Print what the deployment's parameters are set to."""
    print(f"{name:<17} {arn}")
    if kms_key is None:
        return
    find = f"`aws kms describe-key --key-id {kms_key} --query KeyMetadata.Arn --output text`"
    print(f"SecretsKmsKeyArn  {kms_key if kms_key.startswith('arn:') else f'the ARN that {find} prints'}")


def show_next(arguments: argparse.Namespace, *steps: str) -> None:
    """Print what to do next; a command of these tools in it gets the AWS options of this one."""
    print()
    print("Next:")
    for number, step in enumerate(steps, 1):
        print(wrapped(step.replace("{aws}", same_options(arguments)), f"  {number}. "))
