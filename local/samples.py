"""What the sample events rely on: a number whose attempts are used up, today and on the days to come.

The budget is spent through the product's own code, in a process with the verification's own settings:
`local.stack` runs `handler` as an execution environment of VerifyFunction.
"""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

EXHAUSTED_NUMBER: Final = "13900000429"
SIM_NUMBER: Final = "13999994444"
"""The number that the SIM of the demo has unless the page says otherwise."""

HANDLER: Final = "local.samples.handler"
MAX_LIMIT: Final = 20
"""Budgets above this many attempts a day are not spent: it would hold up the stack's start."""


def handler(event: dict[str, Any], _context: Any) -> None:
    """Seed the days that the event names, `{"from": ISO instant, "days": number}`."""
    seed_samples(datetime.fromisoformat(event["from"]), event["days"])


def seed_samples(start: datetime, days: int) -> None:
    """Use up the sample number's budget of some days.

    Parameters
    ----------
    start
        An instant of the first day, aware.
    days
        How many days.
    """
    # Here, not above: the stack names this module's constants and has no use for boto3.
    import boto3  # noqa: PLC0415

    from cmpassport.hashing import Salt, keyed_hash  # noqa: PLC0415
    from cmpassport.secret_cache import fetcher  # noqa: PLC0415
    from verify.budget import AttemptBudget, BudgetExhaustedError  # noqa: PLC0415
    from verify.keyring import Keyring  # noqa: PLC0415
    from verify.settings import Settings  # noqa: PLC0415

    settings = Settings.from_environment(os.environ)
    if settings.daily_attempt_limit > MAX_LIMIT:
        return
    pepper = Keyring(settings, fetcher(boto3.client("secretsmanager"))).pepper()
    number_hash = keyed_hash(pepper, Salt.NUMBER, EXHAUSTED_NUMBER)
    budget = AttemptBudget(boto3.client("dynamodb"), settings.table_name, settings.daily_attempt_limit)
    for day in range(days):
        with suppress(BudgetExhaustedError):
            for attempt in count():
                budget.reserve(number_hash, f"sample-{attempt}", start + timedelta(days=day))
