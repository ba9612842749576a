"""Makes docs/scaling.md and its plots: the words of page.md, the numbers of the model and the simulation."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Final

from benchmarks.scaling.campaign import Step, demand, ladder
from benchmarks.scaling.inputs import DIRECTORY, Inputs
from benchmarks.scaling.model import (
    ARCHITECTURES,
    WRITE_UNIT_BYTES,
    attempt_item_bytes,
    cold_extra_ms,
    cost,
    cpu_share,
    limits,
    load,
    log_bytes,
    total,
    write_units,
    writes_per_verification,
)
from benchmarks.scaling.plots import campaign_plot, cost_plot, environments_plot, limits_plot, whole
from benchmarks.scaling.simulation import End, Result

DOCS: Final = Path(__file__).parents[2] / "docs"
WORDS: Final = Path(__file__).with_name("page.md")
SHOWN: Final = ("cn-north-1", "ap-southeast-1")
"""The regions whose months are shown item by item."""
_USUAL: Final = "usual"
_SLOW: Final = "slow"
_MARKS: Final = {"checked": "✓", "assumed": "~"}
_RATE_STEP: Final = 50
_ATTEMPT_LIMITS: Final = (10, 50, 100, 1000)


@dataclass(frozen=True, slots=True)
class Runs:
    """What the simulation gave, by the platform's latency: with nothing in the way, and the ladders."""

    free: Mapping[str, Result]
    ladders: Mapping[str, Sequence[Step]]


def build(inputs: Inputs) -> dict[str, str]:
    """Give every file of the page by its path below docs/."""
    latencies = inputs.traffic.platform_milliseconds
    free = {name: demand(inputs, ms) for name, ms in latencies.items()}
    ladders = {name: ladder(inputs, latencies[name], free[name]) for name in (_USUAL, _SLOW)}
    words = Template(WORDS.read_text(encoding="utf-8"))
    return {
        "scaling.md": words.substitute(_facts(inputs), **_tables(inputs, Runs(free, ladders))),
        "scaling/limits.svg": limits_plot(inputs),
        "scaling/cost.svg": cost_plot(inputs, SHOWN, latencies[_USUAL]),
        **{f"scaling/campaign-{name}.svg": campaign_plot(inputs, steps) for name, steps in ladders.items()},
        "scaling/environments.svg": environments_plot(inputs, free),
    }


def write(files: Mapping[str, str], directory: Path = DOCS) -> None:
    """Write the files below a directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def differences(files: Mapping[str, str], directory: Path = DOCS) -> list[str]:
    """Name the files that are not what the command makes."""
    return [
        name
        for name, text in files.items()
        if not (directory / name).is_file() or (directory / name).read_text(encoding="utf-8") != text
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> str:
    """Write a Markdown table whose columns from `right` on are numbers, aligned to the right."""
    rule = ["---" if index < right else "---:" for index in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _facts(inputs: Inputs) -> dict[str, str]:
    """Give the single numbers of the page."""
    traffic, settings, measured = inputs.traffic, inputs.settings, inputs.measured
    campaign, latencies = traffic.campaign, traffic.platform_milliseconds
    dearest = max(_ATTEMPT_LIMITS)
    free = WRITE_UNIT_BYTES - measured.items["attempt_bytes"]
    return {
        "presigns_each": f"{traffic.presigns_per_verification:g}",
        "latencies": ", ".join(f"{ms:g} ms ({name})" for name, ms in latencies.items()),
        "usual_ms": f"{latencies[_USUAL]:g}",
        "slow_ms": f"{latencies[_SLOW]:g}",
        "machine": measured.machine,
        "measured_date": measured.date,
        "cpu_share": f"{cpu_share(inputs):.0%}",
        "memory": f"{settings.memory}",
        "prices_date": inputs.prices.date,
        "prices_about": inputs.prices.about,
        "peak_share": f"{traffic.peak_hour_share:.0%}",
        "headroom": f"{traffic.headroom:g}",
        "throttle_rate": f"{settings.throttle_rate:g}",
        "throttle_burst": f"{settings.throttle_burst:g}",
        "read_timeout": f"{settings.platform_read_timeout:g}",
        "deadline": f"{settings.platform_deadline:g}",
        "secret_age": f"{settings.secret_max_age:g}",
        "quiet": f"{campaign.quiet_per_second:g}",
        "peak": f"{campaign.peak_per_second:,g}",
        "rises": f"{campaign.rises:g}",
        "holds": f"{campaign.holds:g}",
        "typing": f"{campaign.typing_seconds:g}",
        "days": f"{traffic.days}",
        "zones": f"{traffic.nat_zones}",
        "preflights": f"{traffic.preflights_per_verification:g}",
        "largest": max(traffic.sizes, key=lambda name: traffic.sizes[name]),
        "id_bytes": f"{measured.items['attempt_id_bytes']}",
        "cheap": f"{free // measured.items['attempt_id_bytes']}",
        "dear": f"{write_units(attempt_item_bytes(inputs, dearest))}",
        "partition": f"{inputs.quotas.dynamodb_partition_writes:,.0f}",
        "attempt_bytes": f"{attempt_item_bytes(inputs, 1)}",
        "outcome_bytes": f"{measured.items['outcome_bytes']}",
        "writes": f"{writes_per_verification(inputs):.2f}",
        "refunds": f"{traffic.given_back_share:.0%}",
        "line_bytes": f"{traffic.log_line_overhead_bytes}",
        "start_ms": f"{traffic.environment_start_milliseconds:g}",
        "verify_connections": f"{measured.verify.connections}",
        "presign_connections": f"{measured.presign.connections}",
        "dynamodb_ms": f"{traffic.dynamodb_milliseconds:g}",
        "secrets_ms": f"{traffic.secrets_milliseconds:g}",
        "handshake_ms": f"{traffic.handshake_milliseconds:g}",
        "handshake_own_ms": f"{traffic.handshake_own_milliseconds:g}",
        "life": f"{traffic.environment_life_seconds / 3600:g}",
    }


def _tables(inputs: Inputs, runs: Runs) -> dict[str, str]:
    """Give the parts of the page that are longer than a number."""
    latencies = inputs.traffic.platform_milliseconds
    wanted = (f"{max(second.busy for second in run.seconds):,} ({name})" for name, run in runs.free.items())
    quotas = json.loads((DIRECTORY / "quotas.json").read_text(encoding="utf-8"))
    quota_rows = [
        (f"`{name}`", quota["source"], quota["raised_by"] or "-", f"{quota['value']:,}")
        for name, quota in quotas["quotas"].items()
    ]
    return {
        "sizes_table": _sizes(inputs),
        "first_limit": limits(inputs, latencies[_USUAL])[0].name,
        "advice": _advice(inputs),
        "limits_table": _limits(inputs),
        "second_limit": _second_limit(inputs),
        "ladders": "\n\n".join(_ladder(inputs, name, steps) for name, steps in runs.ladders.items()),
        "wanted": ", ".join(wanted),
        "cost_tables": "\n\n".join(_month(inputs, name) for name in SHOWN),
        "levers_table": _levers(inputs),
        "attempts_table": _attempts(inputs),
        "regions_table": _regions(inputs),
        "measured_table": _measured(inputs),
        "durations_table": _durations(inputs),
        "quotas_date": quotas["date"],
        "quotas_table": table(("quota", "what it is", "what raises it", "value"), quota_rows, 3),
        "prices_table": _prices(inputs),
        "sources": "\n".join(
            f"- {_MARKS[source.status]} `{name}`, {source.status} {source.date}: {source.text}"
            for name, source in inputs.prices.sources.items()
        ),
    }


# --- What to set --------------------------------------------------------------------------------------------


def _sizes(inputs: Inputs) -> str:
    usual = inputs.traffic.platform_milliseconds[_USUAL]
    first = limits(inputs, usual)[0]
    rows = []
    for name, size in inputs.traffic.sizes.items():
        day = load(inputs, size, usual)
        months = [
            f"{whole(total(cost(inputs, region, size, usual)))} {region.currency}"
            for region in map(inputs.prices.regions.__getitem__, SHOWN)
        ]
        room = f"{whole(first.per_second / day.peak_verifications)} times"
        numbers = (day.peak_verifications, day.environments, day.write_units)
        rows.append((f"**{name}**", *map(whole, numbers), room, *months))
    months_of = (f"a month, {inputs.prices.regions[region].name}" for region in SHOWN)
    head = (
        "verifications a day",
        "a second, busiest hour",
        "environments",
        "DynamoDB writes a second",
        "room",
    )
    return table((*head, *months_of), rows)


def _advice(inputs: Inputs) -> str:
    parts = []
    for name, size in inputs.traffic.sizes.items():
        peak = load(inputs, size * inputs.traffic.headroom, inputs.traffic.platform_milliseconds[_USUAL])
        slow = load(inputs, size * inputs.traffic.headroom, inputs.traffic.platform_milliseconds[_SLOW])
        advice = (
            _throttle_advice(inputs, peak.peak_presigns, peak.peak_verifications),
            _concurrency_advice(inputs, peak.environments, slow.environments),
            _table_advice(inputs, peak.write_units),
        )
        parts.append(f"**{name.capitalize()} a day**\n\n" + "\n".join(f"- {line}" for line in advice))
    return "\n\n".join(parts)


def _throttle_advice(inputs: Inputs, presigns: float, verifications: float) -> str:
    settings, quota = inputs.settings, inputs.quotas.api_account_rate
    if presigns <= settings.throttle_rate:
        calls = f"{whole(presigns)} calls a second come to `/presign`"
        return f"API: leave `ThrottleRate={settings.throttle_rate:g}`; {calls}."
    rate = math.ceil(presigns / _RATE_STEP) * _RATE_STEP
    both = presigns + verifications
    account = (
        f" Both routes together make {whole(both)} a second; the account's quota is {quota:,.0f}. Raise it."
        if both > quota
        else ""
    )
    if rate > settings.largest_throttle_rate:
        return (
            f"API: `/presign` gets {whole(presigns)} calls a second, more than `ThrottleRate` can be set to "
            f"({settings.largest_throttle_rate:,.0f}). Raise that maximum in the template together with the "
            f"account's quota, or spread the pages over several accounts.{account}"
        )
    burst = min(rate, settings.largest_throttle_burst)
    return f"API: `ThrottleRate={rate}`, `ThrottleBurst={burst:g}`.{account}"


def _concurrency_advice(inputs: Inputs, needed: float, slowly: float) -> str:
    quota = inputs.quotas.lambda_concurrency
    numbers = f"Lambda: {whole(needed)} environments ({whole(slowly)})"
    if slowly <= quota:
        return f"{numbers}; the default quota of {quota:,.0f} is enough."
    if needed <= quota:
        return f"{numbers}; the default quota of {quota:,.0f} is enough until the platform becomes slow."
    return (
        f"{numbers}; the default quota is {quota:,.0f}. Ask for the larger number, or lower "
        "`PlatformReadTimeout` and `PlatformDeadline`, which bound how long a stalled platform holds an "
        "environment."
    )


def _table_advice(inputs: Inputs, units: float) -> str:
    initial, most = inputs.quotas.dynamodb_initial_writes, inputs.quotas.dynamodb_table_writes
    if units <= initial:
        return (
            f"DynamoDB: nothing; {whole(units)} write units a second, and a new table takes {initial:,.0f}."
        )
    more = f" Raise the table's quota of {most:,.0f} too." if units > most else ""
    return (
        f"DynamoDB: {whole(units)} write units a second, and a new table takes {initial:,.0f} at once. "
        f"Set the table's warm throughput before the first day.{more}"
    )


# --- What breaks first --------------------------------------------------------------------------------------


def _limits(inputs: Inputs) -> str:
    latencies = inputs.traffic.platform_milliseconds
    found = {name: {limit.name: limit for limit in limits(inputs, ms)} for name, ms in latencies.items()}
    rows = [
        (limit.name, limit.moved_by, *(whole(found[name][limit.name].per_second) for name in latencies))
        for limit in limits(inputs, latencies[_USUAL])
    ]
    head = ("limit", "what moves it", *(f"{name}, {ms:g} ms" for name, ms in latencies.items()))
    return table(head, rows, 2)


def _second_limit(inputs: Inputs) -> str:
    """Say what comes behind the throttle, for each latency; latencies with the same limit share its name."""
    found: dict[str, list[str]] = {}
    for name, ms in inputs.traffic.platform_milliseconds.items():
        limit = limits(inputs, ms)[1]
        found.setdefault(limit.name, []).append(f"{whole(limit.per_second)} a second, platform {name}")
    parts = (f"*{name}* ({'; '.join(each)})" for name, each in found.items())
    return f"Behind it comes {' and '.join(parts)}."


def _ladder(inputs: Inputs, name: str, steps: Sequence[Step]) -> str:
    rows = []
    for number, step in enumerate(steps, 1):
        result, first = step.result, step.result.first_refusal
        served = result.ended[End.SERVED]
        rows.append(
            (
                str(number),
                step.moved if number == 1 else f"+ {step.moved}",
                "none" if first is None else f"{first[1]}, in second {first[0]}",
                f"{served / result.arrived:.1%}",
                f"{result.arrived - served:,}",
                f"{max(second.busy for second in result.seconds):,}",
                f"{result.quantile(0.99):.2f} s",
            )
        )
    head = (
        "run",
        "against",
        "first refusal",
        "served",
        "turned away",
        "environments",
        "99 % verified within",
    )
    return "\n\n".join(
        (
            f"### Platform {name}, {inputs.traffic.platform_milliseconds[name]:g} ms",
            f"![A campaign's peak, one limit moved after the other](scaling/campaign-{name}.svg)",
            f"{steps[0].result.arrived:,} people come; the dashed line is the rate at which they do.",
            table(head, rows, 3),
        )
    )


# --- Money --------------------------------------------------------------------------------------------------


def _month(inputs: Inputs, name: str) -> str:
    usual = inputs.traffic.platform_milliseconds[_USUAL]
    region, sizes = inputs.prices.regions[name], inputs.traffic.sizes
    months = {size: cost(inputs, region, count, usual) for size, count in sizes.items()}
    items = next(iter(months.values()))
    rows = [(item, *(f"{month[item]:,.2f}" for month in months.values())) for item in items]
    rows.append(("**a month**", *(f"**{total(month):,.2f}**" for month in months.values())))
    thousands = [count * inputs.traffic.days / 1000 for count in sizes.values()]
    each = (f"{total(month) / count:.3f}" for month, count in zip(months.values(), thousands, strict=True))
    rows.append(("a thousand verifications", *each))
    head = (f"{region.name}, {region.currency}", *(f"{size} a day" for size in months))
    return table(head, rows)


def _levers(inputs: Inputs) -> str:
    usual, size = inputs.traffic.platform_milliseconds[_USUAL], max(inputs.traffic.sizes.values())
    rows = []
    for label, changed, architecture in _changes(inputs):
        cells = [label]
        for region in map(inputs.prices.regions.__getitem__, SHOWN):
            before = total(cost(inputs, region, size, usual))
            less = before - total(cost(changed, region, size, usual, architecture))
            cells.append(f"{whole(less)} {region.currency} ({less / before:.1%})" if less else "-")
        rows.append(cells)
    return table(("change", *(f"saves in {inputs.prices.regions[name].name}" for name in SHOWN)), rows)


def _changes(inputs: Inputs) -> list[tuple[str, Inputs, str]]:
    measured, settings = inputs.measured, inputs.settings
    silent = replace(
        measured,
        presign=replace(measured.presign, log_bytes=0, log_lines=0),
        verify=replace(measured.verify, log_bytes=0, log_lines=0),
    )
    usual, other = ARCHITECTURES
    half, month = settings.memory // 2, 30
    briefly = replace(settings, log_retention_days=month)
    return [
        (f"`MemorySize={half}`", replace(inputs, settings=replace(settings, memory=half)), usual),
        (f"`Architecture={other}`", inputs, other),
        ("tracing off (in the template)", replace(inputs, settings=replace(settings, traced=False)), usual),
        (f"`LogRetentionDays={month}`", replace(inputs, settings=briefly), usual),
        ("`LogLevel=WARNING`", replace(inputs, measured=silent), usual),
        ("no NAT gateway", replace(inputs, traffic=replace(inputs.traffic, nat_zones=0)), usual),
    ]


def _attempts(inputs: Inputs) -> str:
    partition = inputs.quotas.dynamodb_partition_writes
    rows = []
    for limit in sorted({inputs.settings.daily_attempt_limit, *_ATTEMPT_LIMITS}):
        size = attempt_item_bytes(inputs, limit)
        units = write_units(size)
        spent = sum(write_units(attempt_item_bytes(inputs, used)) for used in range(1, limit + 1))
        rows.append((str(limit), f"{size:,}", str(units), f"{spent:,}", whole(partition / units)))
    head = (
        "`DailyAttemptLimit`",
        "bytes when full",
        "units of one more attempt",
        "units of all attempts",
        "attempts a second on one number",
    )
    return table(head, rows)


def _regions(inputs: Inputs) -> str:
    usual, sizes = inputs.traffic.platform_milliseconds[_USUAL], inputs.traffic.sizes
    rows = []
    for name, region in inputs.prices.regions.items():
        for architecture in ARCHITECTURES:
            months = (
                whole(total(cost(inputs, region, size, usual, architecture))) for size in sizes.values()
            )
            rows.append((f"`{name}`", region.name, architecture, region.currency, *months))
    return table(("region", "name", "processor", "currency", *sizes), rows, 4)


# --- What it stands on --------------------------------------------------------------------------------------


def _measured(inputs: Inputs) -> str:
    both = (inputs.measured.presign, inputs.measured.verify)
    rows = [
        ("own time, warm", *(f"{one.warm_own_ms:g} ms" for one in both)),
        ("own time, imports", *(f"{one.init_own_ms:g} ms" for one in both)),
        ("own time, first request", *(f"{one.first_own_ms:g} ms" for one in both)),
        ("DynamoDB calls, warm", *(str(one.writes) for one in both)),
        ("secrets that an environment reads", *(str(one.secrets) for one in both)),
        ("bytes to the page", *(str(one.response_bytes) for one in both)),
        (
            "bytes to and from the platform",
            *(f"{one.platform_sent_bytes} / {one.platform_received_bytes}" for one in both),
        ),
        ("bytes logged", *(str(log_bytes(inputs, one)) for one in both)),
    ]
    return table(("", "`/presign`", "`/verify`"), rows)


def _durations(inputs: Inputs) -> str:
    rows = []
    for name, ms in inputs.traffic.platform_milliseconds.items():
        one = load(inputs, 1, ms)
        rows.append((f"warm, platform {name}", f"{one.presign_ms:.1f} ms", f"{one.verify_ms:.1f} ms"))
    presign, verify = (
        cold_extra_ms(inputs, one) for one in (inputs.measured.presign, inputs.measured.verify)
    )
    rows.append(("a cold start adds", f"{presign:.0f} ms", f"{verify:.0f} ms"))
    return table(("duration", "`/presign`", "`/verify`"), rows)


def _digits(price: float) -> str:
    """Write a price in full: an exponent is easily misread."""
    return f"{price:.10f}".rstrip("0").rstrip(".")


def _prices(inputs: Inputs) -> str:
    prices = inputs.prices
    rows = []
    for item in next(iter(prices.regions.values())).prices:
        cells = []
        for region in prices.regions.values():
            price = region.prices[item]
            mark = _MARKS[prices.sources[price.source].status]
            cells.append(f"not there {mark}" if price.price is None else f"{_digits(price.price)} {mark}")
        rows.append((f"`{item}`", *cells))
    return table(("price", *(f"`{name}`, {one.currency}" for name, one in prices.regions.items())), rows)
