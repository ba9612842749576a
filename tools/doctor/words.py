"""Remedies that several checks share."""

from collections.abc import Mapping
from typing import Final

from tools.doctor.trouble import Kind

AWS_REMEDIES: Final[Mapping[Kind, str]] = {
    Kind.UNREACHABLE: (
        "Check the network, the proxy and the region's name; where AWS_ENDPOINT_URL is set, that it answers."
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
