"""AWS clients, made by botocore from one session, which is imported only when a client is wanted.

A presign on Lambda wants none (see `cmpassport.direct_secret`).
"""

import codecs
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:  # 76 ms, see `session`; the stubs are for mypy alone
    import mypy_boto3_dynamodb
    import mypy_boto3_secretsmanager
    from botocore.session import Session

DynamoDBClient: TypeAlias = "mypy_boto3_dynamodb.DynamoDBClient"
SecretsManagerClient: TypeAlias = "mypy_boto3_secretsmanager.SecretsManagerClient"
Service = Literal["dynamodb", "secretsmanager"]

CLIENT_OPTIONS: Final[dict[str, Any]] = {
    "connect_timeout": 1,
    # A tenth of a call's processor time goes into these two: what is sent is of one form, which tests have
    # validated, and botocore's own words about itself are put together anew for each request.
    "parameter_validation": False,
    "user_agent": "number-verification",
}
"""botocore's Config options of each client; timeouts in seconds."""
READ_TIMEOUTS: Final[dict[Service, float]] = {"dynamodb": 1, "secretsmanager": 3}
"""Seconds; a request has several calls to DynamoDB and a page behind it that waits."""


@cache
def session() -> "Session":
    """Return the session, which keeps what it has read of the services' descriptions."""
    from botocore.session import Session  # noqa: PLC0415 - 76 ms, which a presign does without

    return Session()


def client(service: Service, *, attempts: int = 2) -> Any:
    """Return a new client, which looks for credentials at once.

    Parameters
    ----------
    service
        The service's name.
    attempts
        How often a call is sent at most.
    """
    from botocore.config import Config  # noqa: PLC0415 - 57 ms by itself, likewise

    config = Config(
        **CLIENT_OPTIONS,
        read_timeout=READ_TIMEOUTS[service],
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
    return session().create_client(service, config=config)


def read_descriptions(*services: Service) -> None:
    """Import and read what making clients takes: neither credentials nor connections."""
    codecs.lookup("idna")  # which the first address would import
    session().get_data("endpoints")
    loader = session().get_component("data_loader")
    for service in services:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
