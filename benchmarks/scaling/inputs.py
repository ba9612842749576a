"""What the model is fed: measured figures, prices, quotas, assumptions, and the template's own settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from local.template import Pseudo, Template

DIRECTORY: Final = Path(__file__).with_name("inputs")
TEMPLATE: Final = Path(__file__).parents[2] / "template.yaml"

_EXAMPLE: Final = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:example-AbCdEf"
_REQUIRED: Final = {
    "AppId": "300000000000",
    "SigningSecretArn": _EXAMPLE,
    "VerificationSecretArn": _EXAMPLE,
    "AllowedOrigins": "https://www.example.com",
}
"""Parameters without a default; none of them changes what the model says."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the template sets, in its own units: MB, seconds, requests per second, days."""

    memory: int
    throttle_rate: float
    throttle_burst: float
    largest_throttle_rate: float
    largest_throttle_burst: float
    secret_max_age: float
    daily_attempt_limit: int
    client_hourly_limit: int
    log_retention_days: int
    platform_read_timeout: float
    platform_deadline: float
    verify_timeout: float
    on_demand: bool
    traced: bool

    @classmethod
    def read(cls, path: Path = TEMPLATE, parameters: Mapping[str, str] | None = None) -> Self:
        """Read them from the template, with its defaults or other values of its parameters."""
        template = Template.read(path)
        deployment = template.deploy(
            {**_REQUIRED, **(parameters or {})}, Pseudo("cn-north-1", "123456789012", "scaling")
        )
        declared = template.document["Parameters"]
        value = deployment.references
        api = deployment.properties("NumberVerificationApi").require("DefaultRouteSettings")
        verify = deployment.properties("VerifyFunction")
        return cls(
            memory=int(verify.require("MemorySize")),
            throttle_rate=float(api["ThrottlingRateLimit"]),
            throttle_burst=float(api["ThrottlingBurstLimit"]),
            largest_throttle_rate=float(declared["ThrottleRate"]["MaxValue"]),
            largest_throttle_burst=float(declared["ThrottleBurst"]["MaxValue"]),
            secret_max_age=float(value["SecretMaxAgeSeconds"]),
            daily_attempt_limit=int(value["DailyAttemptLimit"]),
            client_hourly_limit=int(value["ClientHourlyLimit"]),
            log_retention_days=int(value["LogRetentionDays"]),
            platform_read_timeout=float(value["PlatformReadTimeout"]),
            platform_deadline=float(value["PlatformDeadline"]),
            verify_timeout=float(verify.require("Timeout")),
            on_demand=deployment.properties("AttemptsTable").get("BillingMode") == "PAY_PER_REQUEST",
            traced=verify.get("Tracing") == "Active",
        )


@dataclass(frozen=True, slots=True)
class Handler:
    """What was measured of one function; milliseconds of processor time, bytes, calls by name."""

    init_own_ms: float
    first_own_ms: float
    first_wall_ms: float
    warm_own_ms: float
    warm_wall_ms: float
    first_calls: Mapping[str, int]
    warm_calls: Mapping[str, int]
    response_bytes: int
    platform_sent_bytes: int
    platform_received_bytes: int
    log_lines: int
    log_bytes: int
    metric_lines: int
    metric_bytes: int

    @property
    def secrets(self) -> int:
        """Secrets that an environment reads."""
        return self.first_calls.get("GetSecretValue", 0)

    @property
    def connections(self) -> int:
        """TLS connections that an environment opens: Secrets Manager, DynamoDB, the platform."""
        return sum(map(bool, (self.secrets, self.writes, self.platform_sent_bytes)))

    @property
    def writes(self) -> int:
        """Calls to DynamoDB of a warm invocation; all of them write."""
        return sum(self.warm_calls.values())


@dataclass(frozen=True, slots=True)
class Measured:
    """What `python -m benchmarks.scaling measure` wrote down."""

    date: str
    machine: str
    presign: Handler
    verify: Handler
    items: Mapping[str, int]
    metrics: int
    access_log_bytes: int
    lambda_log_bytes: list[int]

    @classmethod
    def read(cls, path: Path = DIRECTORY / "measured.json") -> Self:
        """Read them."""
        content = _load(path)
        presign, verify = (Handler(**content.pop(name)) for name in ("presign", "verify"))
        return cls(presign=presign, verify=verify, **content)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A peak: people arriving at first quietly, then all at once. Seconds, and people per second."""

    seed: int
    seconds: float
    quiet_per_second: float
    peak_per_second: float
    begins: float
    rises: float
    holds: float
    fades: float
    typing_seconds: float
    typing_spread: float
    platform_spread: float
    write_retry_milliseconds: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the model takes the world to be."""

    about: str
    sizes: Mapping[str, int]
    peak_hour_share: float
    presigns_per_verification: float
    preflights_per_verification: float
    given_back_share: float
    platform_milliseconds: Mapping[str, float]
    dynamodb_milliseconds: float
    secrets_milliseconds: float
    environment_start_milliseconds: float
    environment_life_seconds: float
    handshake_bytes: int
    handshake_milliseconds: float
    handshake_own_milliseconds: float
    headroom: float
    log_line_overhead_bytes: int
    nat_zones: int
    days: int
    table_days: float
    campaign: Campaign

    @classmethod
    def read(cls, path: Path = DIRECTORY / "traffic.json") -> Self:
        """Read it."""
        content = _load(path)
        return cls(campaign=Campaign(**content.pop("campaign")), **content)


@dataclass(frozen=True, slots=True)
class Quotas:
    """AWS's quotas in numbers; their words are in the file."""

    lambda_concurrency: float
    lambda_scaling_environments: float
    lambda_scaling_seconds: float
    lambda_requests_per_environment: float
    api_account_rate: float
    dynamodb_initial_writes: float
    dynamodb_doubling_seconds: float
    dynamodb_partition_writes: float
    dynamodb_table_writes: float
    secrets_reads_per_second: float
    nat_connections: float
    vcpu_memory_mb: float
    xray_reservoir_per_second: float
    xray_share: float

    @classmethod
    def read(cls, path: Path = DIRECTORY / "quotas.json") -> Self:
        """Read them."""
        content = _load(path)["quotas"]
        return cls(**{field.name: float(content[field.name]["value"]) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Price:
    """One price; None where the service is not to be had, and so costs nothing."""

    price: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Region:
    """A region's prices, in its currency."""

    name: str
    currency: str
    prices: Mapping[str, Price]

    def price(self, item: str) -> float:
        """Give one price; 0 where the service is not to be had."""
        return self.prices[item].price or 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where prices come from, and whether they were checked against it or assumed."""

    status: str
    date: str
    text: str


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices."""

    about: str
    sources: Mapping[str, Source]
    regions: Mapping[str, Region]

    @property
    def date(self) -> str:
        """The day of the oldest source."""
        return min(source.date for source in self.sources.values())

    @classmethod
    def read(cls, path: Path = DIRECTORY / "prices.json") -> Self:
        """Read them; a price without a source is refused."""
        content = _load(path)
        sources = {name: Source(**source) for name, source in content["sources"].items()}
        regions = {}
        for name, region in content["regions"].items():
            prices = {item: Price(**price) for item, price in region["prices"].items()}
            for item, price in prices.items():
                if price.source not in sources:
                    raise ValueError(f"{name}: {item} has the source {price.source}, which is not there")
            regions[name] = Region(region["name"], region["currency"], prices)
        return cls(content["about"], sources, regions)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything."""

    settings: Settings
    measured: Measured
    traffic: Traffic
    quotas: Quotas
    prices: Prices

    @classmethod
    def read(cls) -> Self:
        """Read the committed inputs and the template."""
        return cls(Settings.read(), Measured.read(), Traffic.read(), Quotas.read(), Prices.read())


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
