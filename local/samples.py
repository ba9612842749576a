"""What the sample events rely on: a number whose attempts are used up, today and on the days to come."""

from datetime import datetime, timedelta
from typing import Final

from cmpassport.clock import SHANGHAI
from local.aws import AwsEndpoint
from verify.hashing import Salt, keyed_hash

EXHAUSTED_NUMBER: Final = "13900000429"
SIM_NUMBER: Final = "13999994444"
"""The number that the SIM of the demo has unless the page says otherwise."""

SAMPLE_ATTEMPT: Final = "sample-0"
"""Among the attempts of a seeded day, and of no other."""

_DAYS: Final = 25
"""What one BatchWriteItem takes."""

_SPENT: Final = 1000
"""The greatest limit there can be, so that the number is exhausted under any."""


def use_up_sample(endpoint: AwsEndpoint, table_name: str, pepper_id: str, start: datetime) -> None:
    """Use up the sample number's attempts of the days from an instant on, in the form of `verify.budget`.

    Raises
    ------
    AwsError
        The endpoint is not there, or refuses.
    """
    pepper = endpoint.call("secretsmanager.GetSecretValue", SecretId=pepper_id)["SecretString"]
    number_hash = keyed_hash(pepper.encode(), Salt.NUMBER, EXHAUSTED_NUMBER)
    dates = [(start + timedelta(days=day)).astimezone(SHANGHAI) for day in range(_DAYS)]
    attempts = {"SS": [f"sample-{attempt}" for attempt in range(_SPENT)]}
    items = [{"id": {"S": f"{number_hash}#{date:%Y%m%d}"}, "attempts": attempts} for date in dates]
    endpoint.call(
        "DynamoDB_20120810.BatchWriteItem",
        RequestItems={table_name: [{"PutRequest": {"Item": item}} for item in items]},
    )
