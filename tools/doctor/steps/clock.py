"""The clock of this machine, against AWS's and the platform's."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from tools.doctor.facts import Clock, Facts, World
from tools.doctor.place import Origin
from tools.doctor.steps.step import Step
from tools.findings import Finding, fault, fine, unknown, warning

TOLERATED_SECONDS: Final = 30.0
REFUSED_SECONDS: Final = 300.0
"""From here on AWS takes no signature; what the platform tolerates (105112) is documented nowhere."""
_HOUR: Final = 3600.0


def _look(facts: Facts, world: World) -> Facts:
    addresses = {"AWS": world.aws_address()}
    if facts.settings.verify is not None and facts.settings.has("PLATFORM_URL"):
        addresses["the platform"] = facts.settings.verify.platform_url
    clocks = []
    for whose, url in addresses.items():
        theirs = None if url is None else world.server_clock(url)
        ahead = None if theirs is None else (world.now() - theirs).total_seconds()
        clocks.append(Clock(f"{whose} ({urlsplit(url or '').hostname or 'no address'})", ahead))
    return replace(facts, clocks=tuple(clocks))


def the_clock_is_right(facts: Facts) -> Iterator[Finding]:
    """Hold this machine's clock against theirs."""
    for clock in facts.clocks:
        yield _judge(clock, facts)


def _judge(clock: Clock, facts: Facts) -> Finding:
    if clock.ahead is None:
        return unknown("clock", f"The clock of {clock.whose} could not be asked.", "")
    off = abs(clock.ahead)
    # A Date header counts whole seconds.
    if off <= TOLERATED_SECONDS:
        return fine(
            "clock", f"This machine's clock agrees with that of {clock.whose} (within {off + 1:.0f} s)."
        )
    direction = "ahead of" if clock.ahead > 0 else "behind"
    what = f"This machine's clock is {_duration(off)} {direction} that of {clock.whose}"
    remedy = "Switch its time synchronisation on (NTP); `timedatectl` shows it."
    if off >= _HOUR and min(off % _HOUR, -off % _HOUR) < REFUSED_SECONDS:
        remedy = f"Whole hours: local time is set as UTC, or the time zone is wrong. {remedy}"
    if off < REFUSED_SECONDS:
        return warning("clock-off", f"{what}.", remedy)
    return fault("clock-wrong", f"{what}: {_consequence(off, facts)}.", remedy)


def _consequence(off: float, facts: Facts) -> str:
    if facts.place.origin is Origin.STACK:
        return "AWS takes nothing from here, and a probe's timestamp is wrong (Lambda has a clock of its own)"
    window = facts.settings.presign and facts.settings.presign.window
    if window and off > window.total_seconds():
        return "every preSign is refused as stale, and the platform gets a wrong timestamp"
    return "AWS refuses what is signed here, and the platform gets a wrong timestamp"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    parts = ((hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


STEP: Final = Step("Clock", _look, (the_clock_is_right,))
