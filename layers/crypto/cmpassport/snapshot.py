"""SnapStart: Lambda keeps a snapshot of a function after its imports and starts environments as copies of it.

What is made before the snapshot is the same in every copy. So imports and descriptions of AWS's services
alone come before it; clients, which look for credentials at once, come after the restore; secrets,
connections and random numbers with the first request, as ever.
"""

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
    if env.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        make()
        return
    # Lambda's runtime has this module, and only where there are snapshots is it worth its import.
    from snapshot_restore_py import register_after_restore, register_before_snapshot  # noqa: PLC0415

    register_before_snapshot(aws.read_descriptions, *services)
    register_after_restore(_diverge)
    register_after_restore(make)


def _diverge() -> None:
    """Give this copy random numbers of its own.

    Python's generator (botocore's pauses between attempts) has its state in the snapshot, and OpenSSL's under
    `ssl` may have. That under `cryptography` has none yet: no key is touched before the first request.
    """
    import random  # noqa: PLC0415 - as above
    import ssl  # noqa: PLC0415 - as above

    random.seed()
    ssl.RAND_add(os.urandom(_ENTROPY_BYTES), _ENTROPY_BYTES)
