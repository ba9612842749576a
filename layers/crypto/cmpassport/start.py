"""A function's start: quick, and safe to be copied.

Importing this module stops the garbage collector until `begin`, which is the last line of each function's
module: what is imported between the two is not garbage, and looking for some takes a tenth of a start.

Under SnapStart Lambda keeps a snapshot of a function after its imports and starts environments as copies of
it: what is made before the snapshot is the same in every copy. So imports and descriptions of AWS's services
alone come before it; clients, which look for credentials at once, come after the restore; secrets,
connections and random numbers with the first request, as ever.
"""

import gc

gc.disable()

import os
from collections.abc import Callable, Mapping

from cmpassport import aws

_ENTROPY_BYTES = 48


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
        _after_restore(make, *services)
    else:
        make()
    gc.freeze()  # all of this stays: no later collection looks at it
    gc.enable()


def _after_restore(make: Callable[[], object], *services: aws.Service) -> None:
    # Only where there are snapshots; Lambda's runtime has the last one.
    import random  # noqa: PLC0415 - 2 ms, which a start without snapshots does without
    import ssl  # noqa: PLC0415 - 9 ms, likewise

    # 17 and 11 ms, likewise.
    from cryptography.hazmat.bindings.openssl.binding import Binding  # noqa: PLC0415
    from snapshot_restore_py import register_after_restore, register_before_snapshot  # noqa: PLC0415

    add_to_cryptography: Callable[[bytes, int, float], None] = Binding().lib.RAND_add

    def diverge() -> None:
        """Seed this copy's random number generators anew.

        Python's generator (botocore's pauses between attempts) has its state in the snapshot, and each of the
        two OpenSSLs, under `ssl` and under `cryptography`, may have. Two receipts of one key that were signed
        with one random number would give the key away.
        """
        random.seed()
        ssl.RAND_add(os.urandom(_ENTROPY_BYTES), _ENTROPY_BYTES)
        add_to_cryptography(os.urandom(_ENTROPY_BYTES), _ENTROPY_BYTES, _ENTROPY_BYTES)

    register_before_snapshot(aws.read_descriptions, *services)
    register_after_restore(diverge)
    register_after_restore(make)
