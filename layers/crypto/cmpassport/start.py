"""A function's start: quick.

Importing this module stops the garbage collector until `begin`, which is the last line of each function's
module: what is imported between the two is not garbage, and looking for some takes a tenth of a start.
"""

import gc

gc.disable()

from collections.abc import Callable, Mapping

from cmpassport import aws


def begin(make: Callable[[], object], env: Mapping[str, str], *services: aws.Service) -> None:
    """Make what the first request needs: now, while the start has a whole processor, or after the restore.

    Parameters
    ----------
    make
        Makes it; may look for credentials.
    env
        The function's environment.
    services
        AWS services whose clients are then made.
    """
    if env.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from cmpassport import snapshots  # noqa: PLC0415 - 5 ms, for snapshots only

        snapshots.prepare(make, *services)
    else:
        make()
    gc.freeze()  # all of this stays: no later collection looks at it
    gc.enable()
