"""The figures: what each is, what it should be, and how it comes from the measurements."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import cold, growth, warm
from benchmarks.anatomy import cold_presign
from benchmarks.scene import BUILD, Scene

AT_MOST: Final = "≤"
AT_LEAST: Final = "≥"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its goal.

    Attributes
    ----------
    key
        Its name in the JSON line.
    what
        What it is.
    sign, goal
        What it should be.
    """

    key: str
    what: str
    sign: str
    goal: float

    def met(self, value: float) -> bool:
        """Whether a value reaches the goal."""
        return value >= self.goal if self.sign == AT_LEAST else value <= self.goal


FIGURES: Final = (
    Figure("presign_warm", "a warm presign, whole / one raw RSA-2048 signature", AT_MOST, 1.3),
    Figure("verify_warm", "a warm verify's own processor time / its parts made bare", AT_MOST, 1.3),
    Figure("presign_cold", "a cold presign / a naive one", AT_MOST, 1.0),
    Figure("verify_cold", "a cold verify / a naive one", AT_MOST, 1.1),
    Figure("presign_vs_node", "a process's first signature: presign / naive Node.js", AT_MOST, 1.0),
    Figure("cold_vs_plain_layer", "a cold presign on the layer as SAM makes it / ours", AT_LEAST, 3),
    Figure("package_mb", "the bundle, unzipped, in MB", AT_MOST, 45),
    Figure("verify_aws_calls", "AWS calls of a warm successful verify", AT_MOST, 3),
    Figure("peak_memory", "verify's peak memory after 100 calls / the naive one's", AT_MOST, 1.2),
)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured.

    Attributes
    ----------
    values
        The figures by key.
    cold, first
        Seconds of each cold start under the emulator, and of each process's first signature, by side.
    presign, verify
        Nanoseconds of a warm call and of what it is held against.
    memory
        Peak memory in kB, by side.
    anatomy
        Milliseconds of a cold presign's parts.
    receipts
        Nanoseconds of a warm verify without receipts and with them.
    concurrent, attempts
        How the cost grows.
    """

    values: dict[str, float]
    cold: dict[str, list[float]]
    first: dict[str, list[float]]
    presign: dict[str, float]
    verify: dict[str, float]
    memory: dict[str, int]
    anatomy: dict[str, float]
    receipts: dict[str, float]
    concurrent: list[growth.Concurrency]
    attempts: list[growth.Attempt]


def measure(scene: Scene, rounds: int, say: Callable[[str], None]) -> Results:
    """Measure all of it; the warm ones first, as the cold ones heat the machine up."""
    say("warm invocations")
    presign = warm.presign_times(scene, rounds * 10)
    verify = warm.verify_times(scene, rounds * 3)
    calls = warm.verify_calls(scene)
    memory = {side.name: warm.peak_memory(scene, side) for side in (scene.verify, scene.naive_verify)}
    say("cold starts under Lambda's runtime emulator")
    sides = [scene.presign, scene.naive_presign, scene.verify, scene.naive_verify]
    sides += [scene.verify_with_receipts, scene.presign_on_plain_layer, scene.naive_on_plain_layer]
    colds = cold.time_cold_starts(scene, sides, rounds)
    say("first signatures")
    first = cold.time_first_signatures(scene, rounds)
    say("how the cost grows")
    bare = sum(verify[part] for part in ("signature", "encryption", "aws", "post"))
    plain = scene.presign_on_plain_layer.name
    return Results(
        values={
            "presign_warm": presign["ours"] / presign["signature"],
            "verify_warm": verify["ours"] / bare,
            "presign_cold": median(colds["presign"]) / median(colds["naive presign"]),
            "verify_cold": median(colds["verify"]) / median(colds["naive verify"]),
            "presign_vs_node": median(first["presign"]) / median(first["node"]),
            "cold_vs_plain_layer": median(colds[plain]) / median(colds["presign"]),
            "package_mb": _bytes_in(BUILD) / 1e6,
            "verify_aws_calls": len(calls),
            "peak_memory": memory["verify"] / memory["naive verify"],
        },
        cold=colds,
        first=first,
        presign=presign,
        verify=verify,
        memory=memory,
        anatomy=cold_presign(scene, 5),
        receipts=warm.receipts_times(scene, max(1, rounds // 3)),
        concurrent=[growth.concurrent_numbers(scene, numbers) for numbers in growth.CONCURRENT],
        attempts=growth.attempts_on_one_number(scene),
    )


def _bytes_in(folder: Path) -> int:
    """Sum the sizes of what is deployed: the folders' files, not the template beside them."""
    return sum(path.stat().st_size for path in folder.glob("*/**/*") if path.is_file())
