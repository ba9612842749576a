"""The Lambda handler of `GET /.well-known/jwks.json`.

Business back ends fetch it, not pages: no Origin is required.
"""

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from cmpassport.start import begin
from cmpassport.direct_secret import SecretReader
from cmpassport.http import Handler, respond
from cmpassport.receipt_keys import PUBLISHED_MAX_AGE, ReceiptKeys
from cmpassport.secret_cache import CachedSecret
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


def publish_keys(_event: Mapping[str, Any], _request_id: str) -> dict[str, Any]:
    """Return the public keys, the former, the current and the next, for caches to keep (RFC 9111)."""
    keys = _keys.get()
    count(Metric.RECEIPT_KEYS_SERVED)
    return respond(200, _HEADERS, keys)


handler = Handler(publish_keys)
begin(_secrets.prepare, os.environ, "secretsmanager")
