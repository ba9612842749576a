"""What a function does around the snapshot that SnapStart takes of it.

Lambda keeps a snapshot of a function after its imports and starts environments as copies of it: what is made
before the snapshot is the same in every copy. So imports and descriptions of AWS's services alone come before
it; clients, which look for credentials at once, come after the restore; secrets, connections and random
numbers with the first request, as ever.
"""

import os
import random
import ssl
from collections.abc import Callable

from cryptography.hazmat.bindings.openssl.binding import Binding
from snapshot_restore_py import register_after_restore, register_before_snapshot

from cmpassport import aws

_ENTROPY_BYTES = 48


def prepare(make: Callable[[], object], *services: aws.Service) -> None:
    """Register what comes before the snapshot, and after the restore; the parameters are those of `begin`."""
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
