"""The Lambda handler of `GET /.well-known/jwks.json`.

Business back ends fetch it, not pages: nobody is asked for an Origin.
"""

import gc

gc.disable()  # until this module ends: what it imports is no garbage, and looking takes a tenth of a start

import os
import time
from collections.abc import Mapping
from typing import Any

from cmpassport.http import Publication
from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import CachedSecret
from cmpassport.secrets_manager import SecretReader
from cmpassport.snapshot import begin
from cmpassport.telemetry import Metric, count, secret_is_stale
from jwks.settings import Settings

_settings = Settings.from_environment(os.environ)
_secrets = SecretReader(os.environ)
_keys = CachedSecret(
    # The public halves alone are kept: this function has no use for the others.
    lambda: ReceiptKeys.parse(_secrets.fetch(_settings.receipt_secret_id)).public_set(),
    max_age=_settings.secret_max_age,
    monotonic=time.monotonic,
    on_stale=secret_is_stale,
)
begin(_secrets.prepare, os.environ, "secretsmanager")


def publish_keys() -> Mapping[str, Any]:
    """Give the public keys: the former, the current and the next."""
    keys = _keys.get()
    count(Metric.RECEIPT_KEYS_SERVED)
    return keys


handler = Publication(publish_keys, "application/jwk-set+json", PUBLISHED_MAX_AGE)

gc.freeze()  # all of this stays: no later collection looks at it
gc.enable()
