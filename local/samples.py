"""What the sample events rely on: a number whose attempts are used up, today and on the days to come.

The days are written in the form in which `verify.budget` keeps them, by a process with the verification's own
settings: `local.stack` runs `handler` as an execution environment of VerifyFunction.
"""

import os
from datetime import datetime, timedelta
from typing import Any, Final

EXHAUSTED_NUMBER: Final = "13900000429"
SIM_NUMBER: Final = "13999994444"
"""The number that the SIM of the demo has unless the page says otherwise."""

SAMPLE_ATTEMPT: Final = "sample-0"
"""Among the attempts of a seeded day, and of no other."""

HANDLER: Final = "local.samples.handler"
_DAYS: Final = 31
_SPENT: Final = 1000
"""Attempts that are spent: the greatest limit there can be, so that the number is exhausted under any."""


def handler(event: dict[str, Any], _context: Any) -> None:
    """Use up the sample number's budget of a month, from the instant `{"from": ISO}` on."""
    # Here, not above: the stack names this module's constants and has no use for boto3.
    import time  # noqa: PLC0415

    import boto3  # noqa: PLC0415

    from cmpassport.clock import SHANGHAI  # noqa: PLC0415
    from cmpassport.secret_cache import fetcher  # noqa: PLC0415
    from verify.hashing import Salt, keyed_hash  # noqa: PLC0415
    from verify.keyring import Keyring  # noqa: PLC0415
    from verify.settings import Settings  # noqa: PLC0415

    settings = Settings.from_environment(os.environ)
    pepper = Keyring(settings, fetcher(boto3.client("secretsmanager")), time.monotonic).pepper()
    number_hash = keyed_hash(pepper, Salt.NUMBER, EXHAUSTED_NUMBER)
    table = boto3.client("dynamodb")
    attempts = [f"sample-{attempt}" for attempt in range(_SPENT)]
    start = datetime.fromisoformat(event["from"])
    for day in range(_DAYS):
        date = (start + timedelta(days=day)).astimezone(SHANGHAI)
        table.put_item(
            TableName=settings.table_name,
            Item={"id": {"S": f"{number_hash}#{date:%Y%m%d}"}, "attempts": {"SS": attempts}},
        )
