"""How much of everything so many verifications a day take, where each limit lies, what a month costs.

One verification is one login: the page has a preSign signed, fetches a token and has the number verified. All
formulas are here, each with its unit in its name or in its docstring; a month is `Traffic.days` days.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.scaling.inputs import Handler, Inputs, Region

DAY: Final = 86_400
GB: Final = 1_000_000_000
WRITE_UNIT_BYTES: Final = 1024
HTTP_API_TIER: Final = 300_000_000
"""Requests a month after which the API's second price holds."""

ARCHITECTURES: Final = ("x86_64", "arm64")
"""The template's default first."""


def write_units(size: int) -> int:
    """Give the write units of one write of an item of so many bytes."""
    return max(1, math.ceil(size / WRITE_UNIT_BYTES))


def attempt_item_bytes(inputs: Inputs, attempts: int) -> int:
    """Size the item of a number that has used so many attempts this day: it holds their identifiers."""
    return inputs.measured.items["attempt_bytes"] + attempts * inputs.measured.items["attempt_id_bytes"]


def writes_per_verification(inputs: Inputs) -> float:
    """Give the write units of a number's first verification of the day, refunds in their share included."""
    items = inputs.measured.items
    outcome = 2 * write_units(items["outcome_bytes"])  # claimed before, settled after
    attempt = write_units(attempt_item_bytes(inputs, 1))
    counted = outcome + attempt + inputs.measured.verify.writes - 3  # a call more than those three: one unit
    client = 1 if inputs.settings.client_hourly_limit else 0
    return counted + client + inputs.traffic.given_back_share * attempt


def cpu_share(inputs: Inputs) -> float:
    """Give the part of a processor that the functions have."""
    return min(1.0, inputs.settings.memory / inputs.quotas.vcpu_memory_mb)


def warm_ms(inputs: Inputs, handler: Handler, platform_ms: float) -> float:
    """Give what a warm invocation lasts: own time, DynamoDB's and the platform's."""
    own = handler.warm_own_ms / cpu_share(inputs)
    return own + handler.writes * inputs.traffic.dynamodb_milliseconds + platform_ms


def cold_extra_ms(inputs: Inputs, handler: Handler) -> float:
    """Give by how much a cold invocation lasts longer than a warm one; all but the start itself is billed."""
    traffic = inputs.traffic
    shaking = handler.connections * traffic.handshake_own_milliseconds
    own = (handler.init_own_ms + handler.first_own_ms - handler.warm_own_ms + shaking) / cpu_share(inputs)
    network = handler.secrets * traffic.secrets_milliseconds
    network += handler.connections * traffic.handshake_milliseconds
    return traffic.environment_start_milliseconds + own + network


@dataclass(frozen=True, slots=True)
class Load:
    """What a size and a latency of the platform come to.

    Attributes
    ----------
    verifications, presigns
        A day.
    peak_verifications, peak_presigns
        A second, in the day's busiest hour.
    verify_ms, presign_ms
        Duration of a warm invocation.
    verify_environments, presign_environments
        In use at once in the busiest hour.
    write_units
        A second, in the busiest hour.
    cold_starts
        A day, both functions.
    secret_reads
        A day, at most.
    """

    verifications: float
    presigns: float
    peak_verifications: float
    peak_presigns: float
    verify_ms: float
    presign_ms: float
    verify_environments: int
    presign_environments: int
    write_units: float
    cold_starts: float
    secret_reads: float

    @property
    def environments(self) -> int:
        """Concurrency that the account needs for both functions."""
        return self.verify_environments + self.presign_environments


def environments(inputs: Inputs, per_second: float, milliseconds: float) -> int:
    """Give the concurrency that a rate needs: Little's law, and Lambda's bound of requests for each unit."""
    busy = per_second * milliseconds / 1000
    bound = per_second / inputs.quotas.lambda_requests_per_environment
    return max(1, math.ceil(max(busy, bound)))


def load(inputs: Inputs, verifications: float, platform_ms: float) -> Load:
    """Work out what so many verifications a day come to."""
    traffic, measured = inputs.traffic, inputs.measured
    presigns = verifications * traffic.presigns_per_verification
    peak = verifications * traffic.peak_hour_share / 3600
    peak_presigns = peak * traffic.presigns_per_verification
    verify_ms = warm_ms(inputs, measured.verify, platform_ms)
    presign_ms = warm_ms(inputs, measured.presign, 0)
    verify = environments(inputs, peak, verify_ms)
    presign = environments(inputs, peak_presigns, presign_ms)
    lives = DAY / traffic.environment_life_seconds
    ages = DAY / inputs.settings.secret_max_age
    cold_starts = (verify + presign) * lives
    return Load(
        verifications=verifications,
        presigns=presigns,
        peak_verifications=peak,
        peak_presigns=peak_presigns,
        verify_ms=verify_ms,
        presign_ms=presign_ms,
        verify_environments=verify,
        presign_environments=presign,
        write_units=peak * writes_per_verification(inputs),
        cold_starts=min(cold_starts, verifications + presigns),
        secret_reads=min(verify * ages, verifications) * measured.verify.secrets
        + min(presign * ages, presigns) * measured.presign.secrets,
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: how many verifications a second it lets through, and what moves it."""

    name: str
    per_second: float
    moved_by: str


def limits(inputs: Inputs, platform_ms: float) -> list[Limit]:
    """Give every limit in verifications a second, the nearest first."""
    settings, quotas, measured = inputs.settings, inputs.quotas, inputs.measured
    per_presign = inputs.traffic.presigns_per_verification
    one = load(inputs, DAY, platform_ms)
    # What one verification a second needs of the concurrency, its preSigns included.
    bound = 1 / quotas.lambda_requests_per_environment
    unit = max(one.verify_ms / 1000, bound) + per_presign * max(one.presign_ms / 1000, bound)
    writes = writes_per_verification(inputs)
    reads = measured.verify.secrets + per_presign * measured.presign.secrets
    cold_s = (one.verify_ms + cold_extra_ms(inputs, measured.verify)) / 1000
    found = [
        Limit("API, each route", settings.throttle_rate / per_presign, "ThrottleRate, ThrottleBurst"),
        Limit(
            "API, whole account",
            quotas.api_account_rate / (1 + per_presign),
            "quota: API Gateway throttle rate",
        ),
        Limit("Lambda concurrency", quotas.lambda_concurrency / unit, "quota: Lambda concurrent executions"),
        Limit(
            "Lambda scaling, a jump from nothing",
            quotas.lambda_scaling_environments / cold_s,
            "provisioned concurrency, or a slower start of the campaign",
        ),
        Limit(
            "DynamoDB, new table", quotas.dynamodb_initial_writes / writes, "warm throughput of AttemptsTable"
        ),
        Limit("DynamoDB, any table", quotas.dynamodb_table_writes / writes, "quota: table-level writes"),
        Limit(
            "Secrets Manager, all starts cold",
            quotas.secrets_reads_per_second / reads,
            "SecretMaxAgeSeconds",
        ),
        Limit(
            "NAT gateway, one address",
            quotas.nat_connections / (one.verify_ms / 1000),
            "further addresses on the NAT gateway",
        ),
    ]
    return sorted(found, key=lambda limit: limit.per_second)


# --- Cost ---------------------------------------------------------------------------------------------------

ITEMS: Final = (
    "HTTP API",
    "Lambda requests",
    "Lambda compute",
    "DynamoDB writes",
    "DynamoDB storage",
    "Logs",
    "X-Ray",
    "Data out",
    "NAT gateway",
    "Secrets Manager",
    "Metrics",
)


def log_bytes(inputs: Inputs, handler: Handler) -> int:
    """Give the bytes that one warm invocation logs: its own lines, its metrics, Lambda's lines, the API's."""
    measured = inputs.measured
    lines = handler.log_lines + handler.metric_lines + len(measured.lambda_log_bytes) + 1
    size = (
        handler.log_bytes + handler.metric_bytes + sum(measured.lambda_log_bytes) + measured.access_log_bytes
    )
    return size + lines * inputs.traffic.log_line_overhead_bytes


def cost(
    inputs: Inputs,
    region: Region,
    verifications: float,
    platform_ms: float,
    architecture: str = ARCHITECTURES[0],
) -> dict[str, float]:
    """Price a month of so many verifications a day, in the region's currency.

    Free tiers, discounts, taxes and the platform's own bill are left out.
    """
    traffic = inputs.traffic
    size = load(inputs, verifications, platform_ms)
    priced = {
        **_requests(inputs, region, size, architecture),
        **_kept(inputs, region, size),
        **_network(inputs, region, size),
        "Secrets Manager": region.price("secret_month") * inputs.measured.verify.secrets
        + size.secret_reads * traffic.days / 10_000 * region.price("secret_10000_calls"),
        "Metrics": inputs.measured.metrics * region.price("metric_month"),
    }
    return {item: priced[item] for item in ITEMS}


def _requests(inputs: Inputs, region: Region, size: Load, architecture: str) -> dict[str, float]:
    """Price what is paid for each request: API, Lambda, traces."""
    traffic, measured, quotas = inputs.traffic, inputs.measured, inputs.quotas
    invocations = (size.verifications + size.presigns) * traffic.days
    calls = invocations + size.verifications * traffic.preflights_per_verification * traffic.days
    cold_ms = max(cold_extra_ms(inputs, handler) for handler in (measured.verify, measured.presign))
    billed_cold_ms = cold_ms - traffic.environment_start_milliseconds
    busy = size.verifications * size.verify_ms + size.presigns * size.presign_ms
    seconds = (busy + size.cold_starts * billed_cold_ms) * traffic.days / 1000
    # X-Ray's default rule, for each function: the first of every second, then a share.
    traces = sum(
        min(count, quotas.xray_reservoir_per_second * DAY)
        + max(0.0, count - quotas.xray_reservoir_per_second * DAY) * quotas.xray_share
        for count in (size.verifications, size.presigns)
    )
    return {
        "HTTP API": min(calls, HTTP_API_TIER) / 1e6 * region.price("http_api_million")
        + max(0.0, calls - HTTP_API_TIER) / 1e6 * region.price("http_api_million_beyond"),
        "Lambda requests": invocations / 1e6 * region.price("lambda_million"),
        "Lambda compute": seconds
        * inputs.settings.memory
        / 1024
        * region.price(f"lambda_gb_second_{architecture}"),
        "X-Ray": traces * traffic.days / 1e6 * region.price("xray_million")
        if inputs.settings.traced
        else 0.0,
    }


def _kept(inputs: Inputs, region: Region, size: Load) -> dict[str, float]:
    """Price what is written and kept: the table, its recovery, the logs."""
    traffic, measured = inputs.traffic, inputs.measured
    writes = size.verifications * traffic.days * writes_per_verification(inputs)
    item_bytes = attempt_item_bytes(inputs, 1) + measured.items["outcome_bytes"]
    table_gb = size.verifications * traffic.table_days * item_bytes / GB
    logged = (
        size.verifications * log_bytes(inputs, measured.verify)
        + size.presigns * log_bytes(inputs, measured.presign)
    ) / GB
    return {
        "DynamoDB writes": writes / 1e6 * region.price("dynamodb_million_writes"),
        "DynamoDB storage": table_gb
        * (region.price("dynamodb_gb_month") + region.price("dynamodb_recovery_gb_month")),
        "Logs": logged * traffic.days * region.price("logs_gb")
        + logged * inputs.settings.log_retention_days * region.price("logs_kept_gb_month"),
    }


def _network(inputs: Inputs, region: Region, size: Load) -> dict[str, float]:
    """Price what leaves AWS, and the NAT gateways that give the platform an address to know."""
    traffic, measured = inputs.traffic, inputs.measured
    verify = measured.verify
    out = size.verifications * (verify.response_bytes + verify.platform_sent_bytes)
    out += size.presigns * measured.presign.response_bytes
    passed = size.verifications * (
        verify.platform_sent_bytes + verify.platform_received_bytes + traffic.handshake_bytes
    )
    hours = traffic.days * 24 * traffic.nat_zones
    nat_gb = region.price("nat_gb") if traffic.nat_zones else 0.0
    return {
        "Data out": out * traffic.days / GB * region.price("data_out_gb"),
        "NAT gateway": hours * (region.price("nat_hour") + region.price("address_hour"))
        + passed * traffic.days / GB * nat_gb,
    }


def total(items: Mapping[str, float]) -> float:
    """Add up a month."""
    return sum(items.values())
