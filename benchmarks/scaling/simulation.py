"""A campaign's peak, event by event: where people are turned away, when, and why.

People arrive as a Poisson process whose rate rises, holds and fades. Each has a preSign signed, types a
number and has it verified. On the way stand the route's token bucket, Lambda's request rate, concurrency and
scaling rate, and the table's write capacity. Whoever is refused goes away: people who try again make a peak
longer, never lower. The same seed gives the same campaign, to the last person.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from benchmarks.scaling.inputs import Campaign, Inputs
from benchmarks.scaling.model import cold_extra_ms, warm_ms, write_units, writes_per_verification


class End(StrEnum):
    """How a person's visit ends."""

    SERVED = "served"
    API = "API throttle"
    REQUEST_RATE = "Lambda request rate"
    CONCURRENCY = "Lambda concurrency"
    SCALING = "Lambda scaling rate"
    TABLE = "DynamoDB writes"
    TIMEOUT = "platform timeout"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the campaign runs against.

    Attributes
    ----------
    throttle_rate, throttle_burst
        The API's token bucket of each route.
    concurrency
        Execution environments of the account, which both functions share.
    requests_per_environment
        Requests a second for each unit of concurrency.
    scaling_per_second, scaling_burst
        Environments that a function may gain.
    writes
        Write units a second that the table takes.
    doubling_seconds
        After which the table takes twice its earlier peak.
    provisioned
        Environments of the verification that are warm from the start.
    """

    throttle_rate: float
    throttle_burst: float
    concurrency: int
    requests_per_environment: float
    scaling_per_second: float
    scaling_burst: float
    writes: float
    doubling_seconds: float
    provisioned: int = 0

    @classmethod
    def of(cls, inputs: Inputs) -> "Bounds":
        """Take the template's settings and AWS's default quotas."""
        settings, quotas = inputs.settings, inputs.quotas
        return cls(
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            concurrency=int(quotas.lambda_concurrency),
            requests_per_environment=quotas.lambda_requests_per_environment,
            scaling_per_second=quotas.lambda_scaling_environments / quotas.lambda_scaling_seconds,
            scaling_burst=quotas.lambda_scaling_environments,
            writes=quotas.dynamodb_initial_writes,
            doubling_seconds=quotas.dynamodb_doubling_seconds,
        )


class Bucket:
    """A token bucket: refilled all the time, never above its size."""

    __slots__ = ("_at", "_rate", "_size", "level")

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._size = size
        self.level = size
        self._at = 0.0

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take from it if there is enough."""
        self.level = min(self._size, self.level + (now - self._at) * self._rate)
        self._at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True

    def resize(self, rate: float, size: float) -> None:
        """Give it another rate and size from now on."""
        self._rate, self._size = rate, size


@dataclass(slots=True)
class Second:
    """What happened within one second."""

    arrived: int = 0
    ended: Counter[End] = field(default_factory=Counter)
    busy: int = 0
    cold: int = 0
    writes: float = 0.0
    not_stored: int = 0


@dataclass(slots=True)
class Result:
    """A campaign, second by second."""

    seconds: list[Second]
    waited: list[float]

    @property
    def arrived(self) -> int:
        """People who came."""
        return sum(second.arrived for second in self.seconds)

    @property
    def ended(self) -> Counter[End]:
        """How their visits ended."""
        total: Counter[End] = Counter()
        for second in self.seconds:
            total.update(second.ended)
        return total

    @property
    def first_refusal(self) -> tuple[int, End] | None:
        """The second and the reason of the first that was turned away."""
        for at, second in enumerate(self.seconds):
            refusals = [(count, end) for end, count in second.ended.items() if end is not End.SERVED]
            if refusals:
                return at, max(refusals)[1]
        return None

    def quantile(self, part: float) -> float:
        """Give the seconds within which that part of the verifications was answered; 0 if none was."""
        ordered = sorted(self.waited)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def rate_at(campaign: Campaign, at: float) -> float:
    """Give the people a second who come at a moment of the campaign."""
    quiet, peak = campaign.quiet_per_second, campaign.peak_per_second
    risen = (at - campaign.begins) / campaign.rises
    after = at - campaign.begins - campaign.rises - campaign.holds
    if risen < 0:
        return quiet
    if risen < 1:
        return quiet + (peak - quiet) * risen
    return peak if after < 0 else quiet + (peak - quiet) * math.exp(-after / campaign.fades)


def arrivals(campaign: Campaign, random: Random) -> Iterator[float]:
    """Draw the moments at which people come: a Poisson process, thinned to the rate of each moment."""
    for second in range(math.ceil(campaign.seconds)):
        end = min(second + 1.0, campaign.seconds)
        top = campaign.begins + campaign.rises
        highest = max(rate_at(campaign, at) for at in (second, end, min(max(second, top), end)))
        at = second + random.expovariate(highest)
        while at < end:
            if random.random() * highest < rate_at(campaign, at):
                yield at
            at += random.expovariate(highest)


@dataclass(slots=True)
class _Function:
    """One function's environments."""

    api: Bucket
    scaling: Bucket
    warm_seconds: float
    cold_seconds: float
    idle: int = 0
    busy: int = 0


class Simulation:
    """One campaign against one set of bounds.

    Parameters
    ----------
    inputs
        Durations, item sizes, campaign.
    bounds
        What stands in the way.
    platform_ms
        Median of the platform's latency.
    """

    def __init__(self, inputs: Inputs, bounds: Bounds, platform_ms: float) -> None:
        self._inputs = inputs
        self._campaign = inputs.traffic.campaign
        self._bounds = bounds
        # One source each, so that the same people come, whatever happens to them.
        self._coming, self._typing, self._answering = (
            Random(self._campaign.seed + index)  # noqa: S311 - a simulation, the same every time
            for index in range(3)
        )
        self._platform = platform_ms / 1000
        self._limit = min(inputs.settings.platform_read_timeout, inputs.settings.platform_deadline)
        measured = inputs.measured
        self._presign = self._function(
            warm_ms(inputs, measured.presign, 0), cold_extra_ms(inputs, measured.presign)
        )
        self._verify = self._function(
            warm_ms(inputs, measured.verify, 0), cold_extra_ms(inputs, measured.verify)
        )
        self._requests = Bucket(*2 * (bounds.concurrency * bounds.requests_per_environment,))
        self._capacity = bounds.writes
        self._table = Bucket(bounds.writes, bounds.writes)
        self._after_units = write_units(measured.items["outcome_bytes"])
        self._before_units = writes_per_verification(inputs) - self._after_units
        self._queue: list[tuple[float, int, int, float]] = []
        self._sequence = 0
        self.seconds = [Second() for _ in range(int(self._campaign.seconds) + 1)]
        self._waited: list[float] = []

    def _function(self, warm: float, cold_extra: float) -> _Function:
        bounds = self._bounds
        return _Function(
            api=Bucket(bounds.throttle_rate, bounds.throttle_burst),
            scaling=Bucket(bounds.scaling_per_second, bounds.scaling_burst),
            warm_seconds=warm / 1000,
            cold_seconds=cold_extra / 1000,
        )

    def run(self) -> Result:
        """Let everybody come and go."""
        self._warm_up()
        handlers = (
            self._on_presign,
            self._on_presigned,
            self._on_verify,
            self._on_written,
            self._on_verified,
        )
        people = arrivals(self._campaign, self._coming)
        queue = self._queue
        coming = next(people, None)
        while queue or coming is not None:
            if coming is not None and (not queue or coming <= queue[0][0]):
                self._second(coming).arrived += 1
                self._on_presign(coming, coming)
                coming = next(people, None)
                continue
            at, _, kind, started = heapq.heappop(queue)
            handlers[kind](at, started)
        return Result(self.seconds, self._waited)

    # --- What happens to one person -------------------------------------------------------------------------

    def _on_presign(self, at: float, _: float) -> None:
        refusal, seconds = self._enter(self._presign, at)
        if refusal is not None:
            self._end(at, refusal)
        else:
            self._later(at + seconds + self._presign.warm_seconds, 1, at)

    def _on_presigned(self, at: float, _: float) -> None:
        self._leave(self._presign)
        campaign = self._campaign
        typing = self._typing.lognormvariate(math.log(campaign.typing_seconds), campaign.typing_spread)
        self._later(at + typing, 2, at)

    def _on_verify(self, at: float, _: float) -> None:
        refusal, seconds = self._enter(self._verify, at)
        if refusal is not None:
            self._end(at, refusal)
        else:
            self._later(at + seconds, 3, at)

    def _on_written(self, at: float, started: float) -> None:
        """Claim the token and reserve the attempt; botocore tries a refused write once more."""
        if not self._write(at, self._before_units):
            again = at + self._campaign.write_retry_milliseconds / 1000
            if not self._write(again, self._before_units):
                self._leave(self._verify)
                self._end(again, End.TABLE)
                return
            at = again
        latency = self._answering.lognormvariate(math.log(self._platform), self._campaign.platform_spread)
        done = at + self._verify.warm_seconds + min(latency, self._limit)
        # A negative start says that the platform was given up on.
        self._later(done, 4, started if latency <= self._limit else -started)

    def _on_verified(self, at: float, started: float) -> None:
        if not self._write(at, self._after_units):
            self._second(at).not_stored += 1  # the outcome is given all the same
        self._leave(self._verify)
        if started < 0:
            self._end(at, End.TIMEOUT)
            return
        self._waited.append(at - started)
        self._end(at, End.SERVED)

    # --- What stands in the way -----------------------------------------------------------------------------

    def _enter(self, function: _Function, at: float) -> tuple[End | None, float]:
        """Pass the API and get an environment; give the refusal, or the seconds that a cold start adds."""
        second = self._second(at)
        refusal = None
        extra = 0.0
        if not function.api.take(at):
            refusal = End.API
        elif self.busy >= self._bounds.concurrency:
            refusal = End.CONCURRENCY
        elif not self._requests.take(at):
            refusal = End.REQUEST_RATE
        elif function.idle:
            function.idle -= 1
            function.busy += 1
        elif not function.scaling.take(at):
            refusal = End.SCALING
        else:
            function.busy += 1
            extra = function.cold_seconds
            second.cold += 1
        second.busy = max(second.busy, self.busy)
        return refusal, extra

    @staticmethod
    def _leave(function: _Function) -> None:
        function.busy -= 1
        function.idle += 1

    def _write(self, at: float, units: float) -> bool:
        # Steps of the whole period: what a table takes grows with its peak, but not within minutes.
        grown = self._bounds.writes * 2 ** int(at / self._bounds.doubling_seconds)
        if grown != self._capacity:
            self._capacity = grown
            self._table.resize(grown, grown)
        if not self._table.take(at, units):
            return False
        self._second(at).writes += units
        return True

    @property
    def busy(self) -> int:
        """Environments that work."""
        return self._presign.busy + self._verify.busy

    @property
    def environments(self) -> int:
        """Environments that there are."""
        return self.busy + self._presign.idle + self._verify.idle

    # --- Book-keeping ---------------------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Have as many environments as the quiet time before has left."""
        quiet = self._campaign.quiet_per_second
        for function, seconds in ((self._presign, 0.0), (self._verify, self._platform)):
            needed = math.ceil(2 * quiet * (function.warm_seconds + seconds)) + 1
            function.idle = min(self._bounds.concurrency // 2, needed)
        self._verify.idle = max(self._verify.idle, self._bounds.provisioned)

    def _later(self, at: float, kind: int, started: float) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (at, self._sequence, kind, started))

    def _end(self, at: float, how: End) -> None:
        self._second(at).ended[how] += 1

    def _second(self, at: float) -> Second:
        index = int(at)
        while index >= len(self.seconds):
            self.seconds.append(Second())
        return self.seconds[index]
