"""Mixed traffic and injected faults on the local stack for some minutes, and then an audit: `make soak`.

Everything is on loopback. It ends with a report, and with status 1 where anything was wrong.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from local.environment import Pool
from local.stack import Options, Stack
from tests.faults.proxy import Step
from tests.faults.scene import PRESIGN_FUNCTION, Ledger, Scene, processes, scene
from tests.soak.audit import (
    GROWTH,
    Watch,
    growth,
    late_rotations,
    leaks,
    lost_attempts,
    over_limit,
    overcounted,
    sent_twice,
    wrong_verdicts,
)
from tests.soak.traffic import Traffic
from tests.soak.trouble import Trouble
from tests.support.stacks import embedded

_THREADS: Final = 5
_ENVIRONMENTS: Final = 4
_LIMITS: Final = {"PLATFORM_READ_TIMEOUT": "1", "PLATFORM_DEADLINE": "2"}
_MOST: Final = 500_000
"""Tokens at most."""
_GRACE: Final = 60
"""Seconds after the end in which what is under way must be over."""


def soak(seconds: int, seed: int) -> int:
    """Run it; give the process's exit status."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        stack = running.enter_context(embedded(Options(log=folder / "functions.log")))
        presign = _presign(stack, folder)
        running.callback(presign.stop)
        stage = running.enter_context(
            scene(Ledger(stack), folder, limits=_LIMITS, environments=_ENVIRONMENTS)
        )
        return _run(stage, presign, seconds, seed, folder)


def _presign(stack: Stack, folder: Path) -> Pool:
    """Have the stack's preSigns signed by functions that notice a new key within a second."""
    function = stack.functions[PRESIGN_FUNCTION].function
    variables = {**function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    pool = Pool(replace(function, variables=variables), 2, folder / "presign.log")
    stack.functions = {**stack.functions, PRESIGN_FUNCTION: pool}
    return pool


def _run(stage: Scene, presign: Pool, seconds: int, seed: int, folder: Path) -> int:
    stage.pool.warm()
    started = time.monotonic()
    traffic = Traffic(stage, started + seconds, _MOST, seed)
    with (
        Watch(stage.simulator, lambda: processes(stage.pool) | processes(presign)) as watch,
        Trouble(stage, seed) as trouble,
    ):
        traffic.run(_THREADS)
    lasted = time.monotonic() - started
    attempts = stage.ledger.all_attempts(traffic.numbers)
    excused = trouble.made["death"] + watch.unread
    excused += sum(trouble.failed_calls[step] for step in (Step.RESERVATION, Step.SETTLEMENT))
    grown = growth(watch.sizes, int(seconds))
    over = overcounted(watch.calls, attempts)
    wrong = [
        *wrong_verdicts(traffic.stories, watch.calls),
        *sent_twice(watch.calls),
        *lost_attempts(watch.calls, attempts),
        *over_limit(attempts),
        *late_rotations(watch.calls, trouble.made["rotation"], _ENVIRONMENTS + _THREADS),
        *_unless(over <= excused, f"{over} attempts are spent for nothing; {excused} have an excuse"),
        *_unless(bool(grown), "no process lived long enough to tell whether it grows"),
        *(f"a process grew by {share:.1%}" for share in grown.values() if share > GROWTH),
        *_unless(lasted < seconds + _GRACE, f"the end took {lasted - seconds:.0f} s"),
        *_gateway(traffic, trouble),
        *leaks(folder.glob("*.log")),
    ]
    _say(f"soak of {lasted:.0f} s, seed {seed}")
    _say(f"  tokens          {len(traffic.stories)}, beside {traffic.without_token} pages that got none")
    _say(f"  answers         {sum(traffic.outcomes.values())}")
    for outcome, times in traffic.outcomes.most_common():
        _say(f"    {times:7} {outcome}")
    made = ", ".join(f"{times} {kind}" for kind, times in sorted(trouble.made.items()))
    _say(f"  trouble         {made}")
    judged = sum(call.code in {"000", "001"} for call in watch.calls)
    _say(f"  platform calls  {len(watch.calls) + watch.unread}, of them {judged} verdicts")
    unsigned = sum(call.code == "130018" for call in watch.calls)
    _say(f"  signatures      {unsigned} failed, in {trouble.made['rotation']} rotations")
    kept = sum(map(len, attempts.values()))
    _say(f"  attempts        {kept} kept; {over} for nothing, {excused} such have an excuse")
    changes = ", ".join(f"{share:+.1%}" for share in sorted(grown.values()))
    _say(f"  memory          {len(grown)} long-lived processes changed by {changes}")
    for text in sorted(set(wrong)):
        _say(f"  WRONG           {text} (times {wrong.count(text)})")
    _say("  nothing lost, nothing doubled, nobody let in" if not wrong else "  failed")
    return 1 if wrong else 0


def _gateway(traffic: Traffic, trouble: Trouble) -> Iterable[str]:
    """Say which answers were none of the contract's: a dead function's excepted."""
    own = sum(times for name, times in traffic.outcomes.items() if name.endswith("the gateway's own"))
    return _unless(own <= trouble.made["death"], f"{own} answers were the gateway's own")


def _unless(holds: object, text: str) -> Iterable[str]:
    return () if holds else (text,)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=soak.__doc__)
    parser.add_argument("--seconds", type=int, default=600, choices=range(10, 3601), metavar="10..3600")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return soak(arguments.seconds, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
