"""`python -m benchmarks.scaling`: what to set, what breaks first, and what a month costs.

Plain formulae over scaling.toml, which says what was measured, what is assumed, and what AWS's quotas and
list prices are. One verification is one login: a preSign is signed, a token fetched, a number verified.
"""

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
class Model:
    """The formulae over one set of inputs; the attributes are the tables of scaling.toml."""

    template: Mapping[str, float]
    traffic: Mapping[str, Any]
    latency: Mapping[str, Any]
    environment: Mapping[str, float]
    functions: Mapping[str, Mapping[str, float]]
    stored: Mapping[str, float]
    quotas: Mapping[str, float]
    regions: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path = INPUTS) -> Self:
        """Read the inputs from a file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: content[field.name] for field in fields(cls)})

    @property
    def writes(self) -> float:
        """DynamoDB's write units of one verification, refunds in their share included."""
        return self.functions["verify"]["writes"] + self.stored["refunds"]

    def warm_ms(self, name: str, platform_ms: float) -> float:
        """Return the duration of a warm invocation: own time, DynamoDB's and, of verify, the platform's."""
        function = self.functions[name]
        waits = function["writes"] * self.latency["dynamodb"] + (platform_ms if name == "verify" else 0)
        return float(self._at_work(function["own_ms"]) + waits)

    def per_second(self, per_day: float) -> float:
        """Return the verifications a second in the busiest hour of a day with so many."""
        return float(per_day * self.traffic["peak_hour_share"] / 3600)

    def environments(self, per_second: float, platform_ms: float) -> int:
        """Return the environments of both functions that are at work at once."""
        verify, presign = self._concurrency(per_second, platform_ms)
        return max(1, math.ceil(verify)) + max(1, math.ceil(presign))

    def limits(self, platform_ms: float) -> dict[str, float]:
        """Return the verifications a second that each limit lets through, the nearest first."""
        presigns, quotas, functions = self.traffic["presigns"], self.quotas, self.functions
        verify_ms = self.warm_ms("verify", platform_ms)
        cold_s = (verify_ms + self.latency["environment_start"] + self.latency["cold"]) / 1000
        reads = functions["verify"]["secrets"] + presigns * functions["presign"]["secrets"]
        found = {
            "API, each route": self.template["ThrottleRate"] / presigns,
            "API, whole account": quotas["api_rate"] / (1 + presigns),
            "Lambda concurrency": quotas["lambda_concurrency"] / sum(self._concurrency(1, platform_ms)),
            "Lambda scaling, from nothing": quotas["lambda_gain"] / cold_s,
            "DynamoDB, new table": quotas["dynamodb_new_table"] / self.writes,
            "DynamoDB, any table": quotas["dynamodb_table"] / self.writes,
            "Secrets Manager, all starts cold": quotas["secrets_rate"] / reads,
            "NAT gateway, one address": quotas["nat_connections"] * 1000 / verify_ms,
        }
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def cost(self, region: str, per_day: float, platform_ms: float) -> dict[str, float]:
        """Return the price of a month of so many verifications a day, by item, in the region's currency."""
        price, verify, presign = self.regions[region], self.functions["verify"], self.functions["presign"]
        month, presigns = per_day * DAYS, per_day * DAYS * self.traffic["presigns"]
        requests = month * (1 + self.traffic["preflights"]) + presigns
        environments = self.environments(self.per_second(per_day), platform_ms)
        starts = min(environments * 86_400 / self.environment["life_seconds"] * DAYS, month + presigns)
        busy_ms = month * self.warm_ms("verify", platform_ms) + presigns * self.warm_ms("presign", 0)
        seconds = (busy_ms + starts * self.latency["cold"]) / 1000
        first = DAYS * 86_400  # the first request of each second is traced
        traced = sum(min(x, first) + max(0, x - first) * self.quotas["xray_share"] for x in (month, presigns))
        stored_gb = per_day * self.environment["table_days"] * self.stored["item_bytes"] / 1e9
        logged_gb = (month * verify["logged_bytes"] + presigns * presign["logged_bytes"]) / 1e9
        kept = self.template["LogRetentionDays"] / DAYS
        sent, received = verify["platform_sent_bytes"], verify["platform_received_bytes"]
        out = month * (verify["response_bytes"] + sent) + presigns * presign["response_bytes"]
        through_nat = month * (sent + received + self.environment["tls_bytes"])
        reads = environments * first / self.environment["secret_seconds"] * verify["secrets"]
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
            "Secrets Manager": verify["secrets"] * price["secret_month"]
            + min(reads, month * verify["secrets"]) / 1e4 * price["secret_10000_calls"],
            "Metrics": self.stored["metrics"] * price["metric_month"],
            "NAT gateway": DAYS * 24 * self.environment["nat_zones"] * price["nat_hour"]
            + through_nat / 1e9 * price["nat_gb"],
        }

    def _at_work(self, own_ms: float) -> float:
        """Stretch processor time to the share of a processor that the memory buys."""
        return own_ms / min(1.0, self.template["MemorySize"] / self.quotas["vcpu_memory"])

    def _concurrency(self, per_second: float, platform_ms: float) -> tuple[float, float]:
        """Return what a rate needs of verify and presign: Little's law, and Lambda's bound of requests."""
        verify, presign = (
            rate * max(self.warm_ms(name, platform_ms) / 1000, 1 / self.quotas["lambda_requests"])
            for name, rate in (("verify", per_second), ("presign", per_second * self.traffic["presigns"]))
        )
        return verify, presign


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose first column is text and whose others are numbers."""
    lines = (head, ["---"] + ["--:"] * (len(head) - 1), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def sizes_table(model: Model) -> str:
    """Tabulate what an operator sets for each size of a day, at the peak within its busiest hour."""
    platform, rows = model.latency["platform"], []
    for name, per_day in model.traffic["day"].items():
        usual = model.per_second(per_day)
        peak = usual * model.traffic["headroom"]
        environments = [model.environments(peak, platform[speed]) for speed in ("usual", "slow")]
        rate = max(model.template["ThrottleRate"], math.ceil(peak * model.traffic["presigns"] / 50) * 50)
        figures = [f"{usual:,.2f}", f"{rate:,.0f}", *map("{:,}".format, environments)]
        rows.append([name, *figures, f"{peak * model.writes:,.1f}"])
    head = ("a day", "a second, busiest hour", "`ThrottleRate`", "environments, 300 ms", "2 s", "write units")
    return table(head, rows)


def limits_table(model: Model) -> str:
    """Tabulate what each limit lets through, and the environments that a campaign would need."""
    speeds = model.latency["platform"]
    limits = [model.limits(milliseconds) for milliseconds in speeds.values()]
    rows = [[name, *(f"{each[name]:,.0f}" for each in limits)] for name in model.limits(speeds["usual"])]
    needed = [model.environments(model.traffic["campaign"], milliseconds) for milliseconds in speeds.values()]
    rows.append([f"environments at {model.traffic['campaign']:,} a second", *map("{:,}".format, needed)])
    return table(["limit", *speeds], rows)


def cost_table(model: Model, region: str) -> str:
    """Tabulate a region's month by item, for each size of a day."""
    usual = model.latency["platform"]["usual"]
    costs = [model.cost(region, per_day, usual) for per_day in model.traffic["day"].values()]
    rows = [[item, *(f"{cost[item]:,.2f}" for cost in costs)] for item in costs[0]]
    rows.append(["**a month**", *(f"**{sum(cost.values()):,.0f}**" for cost in costs)])
    name, currency = (model.regions[region][key] for key in ("name", "currency"))
    return table([f"{name}, {currency}", *model.traffic["day"]], rows)


def main() -> None:
    """Print the tables."""
    model = Model.read()
    tables = [sizes_table(model), limits_table(model), *(cost_table(model, name) for name in model.regions)]
    print("\n".join(tables))


if __name__ == "__main__":
    main()
