"""`python -m benchmarks.scaling [--plots FOLDER]`: what to set, what breaks first, and what a month costs.

Plain formulae over scaling.toml, which says what was measured, what is assumed, and what AWS's quotas and
list prices are. One verification is one login: a preSign is signed, a token fetched, a number verified.
"""

import argparse
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

INPUTS: Final = Path(__file__).with_suffix(".toml")
DAYS: Final = 30
HTTP_API_TIER: Final = 300_000_000
"""Requests a month after which the API's second price holds."""


@dataclass(frozen=True, slots=True)
class Function:
    """What one call of a function takes: processor time in milliseconds, calls, bytes."""

    own_ms: float
    start_own_ms: float
    secrets: int
    connections: int
    writes: int
    response_bytes: int
    platform_sent_bytes: int
    platform_received_bytes: int
    logged_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What so many verifications a day come to.

    Attributes
    ----------
    per_second
        Verifications, in the day's busiest hour.
    verify_ms, presign_ms
        Duration of a warm invocation.
    environments
        At work at once, of both functions.
    cold_starts
        A day, at most.
    """

    per_second: float
    verify_ms: float
    presign_ms: float
    environments: int
    cold_starts: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: the verifications a second that it lets through, and what moves it."""

    name: str
    per_second: float
    moved_by: str


@dataclass(frozen=True, slots=True)
class Model:
    """The formulae over one set of inputs; the attributes are the tables of scaling.toml."""

    template: Mapping[str, float]
    traffic: Mapping[str, Any]
    latency: Mapping[str, Any]
    environment: Mapping[str, float]
    functions: Mapping[str, Mapping[str, Any]]
    stored: Mapping[str, float]
    quotas: Mapping[str, float]
    regions: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path = INPUTS) -> Self:
        """Read the inputs from a file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: content[field.name] for field in fields(cls)})

    @property
    def presign(self) -> Function:
        """The function that signs preSigns."""
        return Function(**self.functions["presign"])

    @property
    def verify(self) -> Function:
        """The function that verifies numbers."""
        return Function(**self.functions["verify"])

    @property
    def writes(self) -> float:
        """DynamoDB's write units of one verification, refunds in their share included."""
        return self.verify.writes + self.stored["refunds"]

    def warm_ms(self, function: Function, platform_ms: float) -> float:
        """Return the duration of a warm invocation: own time, DynamoDB's and the platform's."""
        dynamodb_ms: float = function.writes * self.latency["dynamodb"]
        return self._at_work(function.own_ms) + dynamodb_ms + platform_ms

    def cold_ms(self, function: Function) -> float:
        """Return by how much a cold invocation lasts longer than a warm one."""
        own = function.start_own_ms + function.connections * self.environment["tls_own_ms"]
        waits = function.secrets * self.latency["secret"] + function.connections * self.latency["tls"]
        return float(self.latency["environment_start"] + self._at_work(own) + waits)

    def load(self, per_day: float, platform_ms: float) -> Load:
        """Return what so many verifications a day come to."""
        per_second = per_day * self.traffic["peak_hour_share"] / 3600
        return self.load_at(per_second, per_day, platform_ms)

    def load_at(self, per_second: float, per_day: float, platform_ms: float) -> Load:
        """Return what a rate comes to, on a day with so many verifications."""
        verify_ms, presign_ms = self.warm_ms(self.verify, platform_ms), self.warm_ms(self.presign, 0)
        environments = sum(
            max(1, math.ceil(self._concurrency(rate, milliseconds)))
            for rate, milliseconds in (
                (per_second, verify_ms),
                (per_second * self.traffic["presigns"], presign_ms),
            )
        )
        lives = 86_400 / self.environment["life_seconds"]
        calls = per_day * (1 + self.traffic["presigns"])
        return Load(per_second, verify_ms, presign_ms, environments, min(environments * lives, calls))

    def limits(self, platform_ms: float) -> list[Limit]:
        """Return every limit in verifications a second, the nearest first."""
        presigns, quotas, writes = self.traffic["presigns"], self.quotas, self.writes
        verify_ms = self.warm_ms(self.verify, platform_ms)
        concurrency = self._concurrency(1, verify_ms)
        concurrency += self._concurrency(presigns, self.warm_ms(self.presign, 0))
        cold_s = (verify_ms + self.cold_ms(self.verify)) / 1000
        reads = self.verify.secrets + presigns * self.presign.secrets
        rate, gain = self.template["ThrottleRate"], quotas["lambda_gain"]
        found = (
            ("API, each route", rate / presigns, "`ThrottleRate`, `ThrottleBurst`"),
            ("API, whole account", quotas["api_rate"] / (1 + presigns), "quota: API throttle rate"),
            (
                "Lambda concurrency",
                quotas["lambda_concurrency"] / concurrency,
                "quota: concurrent executions",
            ),
            ("Lambda scaling, from nothing", gain / cold_s, "provisioned concurrency"),
            ("DynamoDB, new table", quotas["dynamodb_new_table"] / writes, "the table's warm throughput"),
            ("DynamoDB, any table", quotas["dynamodb_table"] / writes, "quota: table-level writes"),
            ("Secrets Manager, all starts cold", quotas["secrets_rate"] / reads, "a slower start"),
            ("NAT gateway, one address", quotas["nat_connections"] * 1000 / verify_ms, "further addresses"),
        )
        return sorted((Limit(*limit) for limit in found), key=lambda limit: limit.per_second)

    def cost(self, region: str, per_day: float, platform_ms: float) -> dict[str, float]:
        """Return the price of a month of so many verifications a day, by item, in the region's currency."""
        price, load = self.regions[region], self.load(per_day, platform_ms)
        verify, presign = self.verify, self.presign
        month, presigns = per_day * DAYS, per_day * DAYS * self.traffic["presigns"]
        requests = month * (1 + self.traffic["preflights"]) + presigns
        billed_cold = load.cold_starts * DAYS * (self.cold_ms(verify) - self.latency["environment_start"])
        seconds = (month * load.verify_ms + presigns * load.presign_ms + billed_cold) / 1000
        traced = sum(
            min(calls, DAYS * 86_400) + max(0, calls - DAYS * 86_400) * self.quotas["xray_share"]
            for calls in (month, presigns)
        )
        stored_gb = per_day * self.environment["table_days"] * self.stored["item_bytes"] / 1e9
        logged_gb = (month * verify.logged_bytes + presigns * presign.logged_bytes) / 1e9
        kept = self.template["LogRetentionDays"] / DAYS
        out = month * (verify.response_bytes + verify.platform_sent_bytes) + presigns * presign.response_bytes
        exchange = verify.platform_sent_bytes + verify.platform_received_bytes
        through_nat = month * (exchange + self.environment["tls_bytes"])
        reads = load.environments * 86_400 / self.environment["secret_seconds"] * verify.secrets * DAYS
        return {
            "HTTP API": min(requests, HTTP_API_TIER) / 1e6 * price["http_api_million"]
            + max(0.0, requests - HTTP_API_TIER) / 1e6 * price["http_api_million_beyond"],
            "Lambda requests": (month + presigns) / 1e6 * price["lambda_million"],
            "Lambda compute": seconds * self.template["MemorySize"] / 1024 * price["lambda_gb_second"],
            "DynamoDB writes": month * self.writes / 1e6 * price["dynamodb_million_writes"],
            "DynamoDB storage": stored_gb * price["dynamodb_gb_month"],
            "Logs": logged_gb * (price["logs_gb"] + kept * price["logs_kept_gb_month"]),
            "X-Ray": traced / 1e6 * price["xray_million"],
            "Data out": out / 1e9 * price["data_out_gb"],
            "Secrets Manager": verify.secrets * price["secret_month"]
            + min(reads, month * verify.secrets) / 1e4 * price["secret_10000_calls"],
            "Metrics": self.stored["metrics"] * price["metric_month"],
            "NAT gateway": DAYS * 24 * self.environment["nat_zones"] * price["nat_hour"]
            + through_nat / 1e9 * price["nat_gb"],
        }

    def _at_work(self, own_ms: float) -> float:
        """Stretch processor time to the share of a processor that the memory buys."""
        return own_ms / min(1.0, self.template["MemorySize"] / self.quotas["vcpu_memory"])

    def _concurrency(self, per_second: float, milliseconds: float) -> float:
        """Return the environments that a rate needs: Little's law, and Lambda's bound of requests."""
        return max(per_second * milliseconds / 1000, per_second / self.quotas["lambda_requests"])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose first column is text and whose others are numbers."""
    lines = (head, ["---"] + ["--:"] * (len(head) - 1), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def sizes_table(model: Model) -> str:
    """Tabulate what an operator sets for each size of a day."""
    headroom, platform = model.traffic["headroom"], model.latency["platform"]
    rows = []
    for name, per_day in model.traffic["day"].items():
        usual = model.load(per_day, platform["usual"])
        peak = usual.per_second * headroom
        environments = [
            model.load_at(peak, per_day, platform[speed]).environments for speed in ("usual", "slow")
        ]
        rate = math.ceil(peak * model.traffic["presigns"] / 50) * 50
        rows.append(
            [
                name,
                f"{usual.per_second:,.2g}" if usual.per_second < 1 else f"{usual.per_second:,.0f}",
                f"{max(model.template['ThrottleRate'], rate):,.0f}",
                *(f"{count:,}" for count in environments),
                f"{peak * model.writes:,.3g}" if peak < 1 else f"{peak * model.writes:,.0f}",
            ]
        )
    head = ("a day", "a second, busiest hour", "`ThrottleRate`", "environments, 300 ms", "2 s", "write units")
    return table(head, rows)


def limits_table(model: Model) -> str:
    """Tabulate what each limit lets through."""
    by_speed = {
        speed: model.limits(milliseconds) for speed, milliseconds in model.latency["platform"].items()
    }
    rows = [
        [limit.name, limit.moved_by]
        + [
            f"{next(other.per_second for other in limits if other.name == limit.name):,.0f}"
            for limits in by_speed.values()
        ]
        for limit in by_speed["usual"]
    ]
    return table(["limit", "what moves it", *by_speed], rows)


def campaign_table(model: Model) -> str:
    """Tabulate what breaks in a campaign, in this order, and what it would need."""
    rate = model.traffic["campaign"]
    rows = []
    for speed, milliseconds in model.latency["platform"].items():
        needed = model.load_at(rate, 0, milliseconds).environments
        broken = [limit for limit in model.limits(milliseconds) if limit.per_second < rate]
        rows.append([speed, f"{needed:,}", " → ".join(f"{x.name} ({x.per_second:,.0f})" for x in broken)])
    return table(("platform", "environments", "breaks, in this order"), rows)


def cost_table(model: Model, region: str) -> str:
    """Tabulate a region's month by item, for each size of a day."""
    costs = [
        model.cost(region, per_day, model.latency["platform"]["usual"])
        for per_day in model.traffic["day"].values()
    ]
    rows = [[item, *(f"{cost[item]:,.2f}" for cost in costs)] for item in costs[0]]
    rows.append(["**a month**", *(f"**{sum(cost.values()):,.0f}**" for cost in costs)])
    name, currency = (model.regions[region][key] for key in ("name", "currency"))
    return table([f"{name}, {currency}", *model.traffic["day"]], rows)


def draw(model: Model, folder: Path) -> None:
    """Draw the limits and the shares of the cost."""
    from benchmarks.plots import bars, shares  # noqa: PLC0415 - the tables do without matplotlib

    limits = {
        f"platform {speed}, {milliseconds} ms": {x.name: x.per_second for x in model.limits(milliseconds)}
        for speed, milliseconds in model.latency["platform"].items()
    }
    folder.mkdir(exist_ok=True)
    bars(folder / "limits.png", "Verifications a second that each limit lets through", limits, log=True)
    costs = {
        f"{region['name']}, {size}": model.cost(name, per_day, model.latency["platform"]["usual"])
        for name, region in model.regions.items()
        for size, per_day in model.traffic["day"].items()
    }
    shares(folder / "cost.png", "Where a month's money goes", costs)


def main() -> None:
    """Print the tables, and draw the plots where a folder is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--plots", type=Path, help="folder for the plots")
    options = parser.parse_args()
    model = Model.read()
    tables = [make(model) for make in (sizes_table, limits_table, campaign_table)]
    print("\n".join([*tables, *(cost_table(model, region) for region in model.regions)]))
    if options.plots:
        draw(model, options.plots)


if __name__ == "__main__":
    main()
