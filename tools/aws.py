"""AWS as the operator reaches it: profile and region by option, the rest as boto3 finds it."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

import boto3
from botocore.config import Config

from tools.aws_errors import errors_in_words
from tools.findings import UseError

_CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"total_max_attempts": 3, "mode": "standard"},
    user_agent_extra="number-verification-tools",
)
"""An operator waits seconds, not minutes."""
_NONE: Final[Mapping[str, str]] = {}


class Aws:
    """AWS in one region.

    Parameters
    ----------
    options
        --profile and --region.
    variables
        A local stack's: its region, credentials and endpoints serve where the options name none.

    Raises
    ------
    ToolError
        There is no such profile, or no region is known.
    """

    def __init__(self, options: argparse.Namespace, variables: Mapping[str, str] = _NONE) -> None:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        keys: Any = {name.lower(): variables[name] for name in names if name in variables}
        self._variables = variables
        with errors_in_words():
            region = options.region or variables.get("AWS_REGION")
            self._session = boto3.Session(profile_name=options.profile, region_name=region, **keys)
        if self._session.region_name is None:
            raise UseError("no-region")
        self.region = str(self._session.region_name)

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service.

        Raises
        ------
        ToolError
            The region or the endpoint is not one.
        """
        address = self._variables.get(
            f"AWS_ENDPOINT_URL_{service.upper()}", self._variables.get("AWS_ENDPOINT_URL")
        )
        with errors_in_words(region=self.region):
            return self._session.client(service, config=_CONFIG, endpoint_url=address)  # type: ignore[call-overload]
