"""The closed grammar of preSign (guide steps 3 and 4): what may be signed, and nothing else.

The key that signs preSigns signs verification requests too, and the digest may be MD5: a server that signs
whatever a page sends is a signing oracle. So the whole string must parse as appId, msgId, timestamp, uuid and
version, one after the other, of the configured appId and in the alphabets of the SDK's builds:

=========  ==================================  ===========================================
part       current SDK                         legacy SDK
=========  ==================================  ===========================================
msgId      32 of ``[0-9A-V]``                  JavaScript's ``Math.random()``: ``0.8345``, ``5.9e-7``
timestamp  17 digits, ``yyyyMMddHHmmssSSS``    the same
uuid       32 of ``[0-9A-V]``                  lower-case 8-4-4-4-12 hex, maybe ``cms-``
version    ``1.0`` or ``1.2``                  the same
=========  ==================================  ===========================================
"""

import re
from datetime import datetime, timedelta
from typing import Final

from cmpassport.clock import SHANGHAI
from cmpassport.errors import CmpassportError

_CURRENT: Final = r"[0-9A-V]{32}(?P<current>[0-9]{17})[0-9A-V]{32}"
_FRACTION: Final = r"(?:0\.[0-9]{1,20}|[1-9](?:\.[0-9]{1,17})?e-(?:[7-9]|1[0-9]))"
_UUID: Final = r"(?:cms-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEGACY: Final = rf"{_FRACTION}(?P<legacy>[0-9]{{17}}){_UUID}"
_VERSION: Final = r"1\.[02]"


class PreSignRejectedError(CmpassportError):
    """A string is not a preSign that may be signed; the text says why and never quotes it."""


class PreSignGrammar:
    """Recognises the preSigns of one appId.

    Parameters
    ----------
    app_id
        The configured appId.
    window
        How far the timestamp may lie from now, either way; None for any. It is the phone's clock at page
        load, in the phone's time zone, so the window is loose: it keeps anybody from stockpiling signatures.
    """

    def __init__(self, app_id: str, window: timedelta | None) -> None:
        self._form = re.compile(f"{re.escape(app_id)}(?:{_CURRENT}|{_LEGACY}){_VERSION}", re.ASCII)
        self._window = window

    def check(self, text: str, now: datetime) -> None:
        """Accept a preSign.

        Parameters
        ----------
        text
            The string as the page sent it.
        now
            The present instant, aware.

        Raises
        ------
        PreSignRejectedError
            The string is anything else, or its timestamp is not in the calendar or outside the window.
        """
        match = self._form.fullmatch(text)
        if match is None:
            raise PreSignRejectedError("The string is not a preSign of the configured appId.")
        try:
            moment = parse_timestamp(match["current"] or match["legacy"])
        except ValueError:
            raise PreSignRejectedError("The preSign's timestamp is not a moment of the calendar.") from None
        if self._window is not None and abs(now - moment) > self._window:
            raise PreSignRejectedError(
                "The preSign's timestamp is too far from now. Load the page again; check the phone's clock."
            )


def parse_timestamp(digits: str) -> datetime:
    """Read 17 ASCII digits, `yyyyMMddHHmmssSSS`, as Shanghai time.

    Raises
    ------
    ValueError
        The digits are not a moment of the calendar.
    """
    return datetime(
        int(digits[0:4]),
        int(digits[4:6]),
        int(digits[6:8]),
        int(digits[8:10]),
        int(digits[10:12]),
        int(digits[12:14]),
        int(digits[14:17]) * 1000,
        tzinfo=SHANGHAI,
    )
