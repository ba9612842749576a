"""The Lambda handler of `GET /.well-known/jwks.json`.

Business back ends fetch it, not pages: nobody is asked for an Origin.
"""

import gc

gc.disable()  # until this module ends: what it imports is no garbage, and looking takes a tenth of a start

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from cmpassport.http import Handler, respond
from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import CachedSecret
from cmpassport.secrets_manager import SecretReader
from cmpassport.snapshot import begin
from cmpassport.telemetry import Metric, count, secret_is_stale
from jwks.settings import Settings

_HEADERS: Final = {
    "Content-Type": "application/jwk-set+json",
    "Cache-Control": f"public, max-age={PUBLISHED_MAX_AGE}",
    "X-Content-Type-Options": "nosniff",
}

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


def publish_keys(_event: Mapping[str, Any], _request_id: str) -> dict[str, Any]:
    """Give the public keys, the former, the current and the next, for caches to keep (RFC 9111)."""
    keys = _keys.get()
    count(Metric.RECEIPT_KEYS_SERVED)
    return respond(200, _HEADERS, keys)


handler = Handler(publish_keys)

gc.freeze()  # all of this stays: no later collection looks at it
gc.enable()
