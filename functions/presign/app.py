"""The Lambda handler of `POST /presign`."""

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cmpassport.start import begin
from cmpassport.clock import utc_now
from cmpassport.direct_secret import SecretReader
from cmpassport.http import Endpoint, Request
from cmpassport.keys import load_private_key
from cmpassport.members import check_members
from cmpassport.problems import Problem, ProblemError
from cmpassport.secret_cache import CachedSecret, read_fields
from cmpassport.telemetry import logger, secret_is_stale
from presign.grammar import PreSignGrammar, PreSignRejectedError
from presign.settings import Settings

_settings = Settings.from_environment(os.environ)
_grammar = PreSignGrammar(_settings.common.app_id, _settings.window)
_secrets = SecretReader(os.environ)
_parse = lru_cache(maxsize=1)(load_private_key)  # a refresh that brings the same key does not parse it again
_key = CachedSecret(
    lambda: _parse(*read_fields(_secrets.fetch(_settings.common.signing_secret_id), "privateKey")),
    max_age=_settings.common.secret_max_age,
    monotonic=time.monotonic,
    on_stale=secret_is_stale,
)


def sign_presign(request: Request) -> Mapping[str, Any]:
    """Sign the request's preSign if it is one."""
    check_members(request.fields, ("preSign",))
    pre_sign = request.fields["preSign"]
    try:
        _grammar.check(pre_sign, utc_now())
    except PreSignRejectedError as error:
        logger.warning("a preSign was rejected", reason=str(error))
        raise ProblemError(Problem.PRESIGN_REJECTED, str(error)) from None
    return {"sign": _settings.common.scheme.sign(_key.get(), pre_sign)}


handler = Endpoint(sign_presign, _settings.common.allowed_origins)
begin(_secrets.prepare, os.environ, "secretsmanager")
