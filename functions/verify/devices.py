"""Known devices: a text that a page keeps after a match, and that gives the phone a budget of its own.

They are OWASP's *device cookies*: a stranger may use up what strangers have of a number's attempts, and the
phones from which its owner logged in before are not touched by that. The text is opaque and has no personal
data: the day of its issue and a random-looking identifier, authenticated with the pepper together with the
number's hash, so that it is worth nothing for another number.
"""

import base64
import hashlib
import hmac
from datetime import date, datetime, timedelta

from cmpassport.clock import SHANGHAI

_DAY_BYTES, _ID_BYTES, _MAC_BYTES = 3, 14, 16
_EPOCH = date(1970, 1, 1)


class Devices:
    """Issues and recognises known devices.

    Parameters
    ----------
    days
        How long a device is known after its last match; 0 where devices are off.
    """

    def __init__(self, days: int) -> None:
        self._life = timedelta(days=days)

    def recognise(self, pepper: bytes, number_hash: str, text: str | None, now: datetime) -> str | None:
        """Return the identifier of the number's known device; None for any other text, and past its time."""
        if text is None:
            return None
        try:
            data = base64.b64decode(text.encode(), b"-_", validate=True)
        except ValueError:  # binascii.Error and UnicodeEncodeError are ValueErrors
            return None
        content, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(pepper, number_hash, content)):
            return None
        age = _today(now) - int.from_bytes(content[:_DAY_BYTES], "big")
        return content[_DAY_BYTES:].hex() if 0 <= age < self._life.days else None

    def issue(
        self, pepper: bytes, number_hash: str, seed: str, device: str | None, now: datetime
    ) -> str | None:
        """Return the text of a device after a match; None where devices are off.

        Parameters
        ----------
        pepper
            Key of the keyed hashes.
        number_hash
            Keyed hash of the number.
        seed
            Keyed hash of the token, of which a new device's identifier is made: a repeat gets the same.
        device
            Identifier of the device if it is known already; else None.
        now
            When the match came, aware.
        """
        if not self._life:
            return None
        identifier = bytes.fromhex(device) if device else bytes.fromhex(seed)[:_ID_BYTES]
        content = _today(now).to_bytes(_DAY_BYTES, "big") + identifier
        return base64.urlsafe_b64encode(content + _mac(pepper, number_hash, content)).decode()


def _mac(pepper: bytes, number_hash: str, content: bytes) -> bytes:
    message = f"device text\0{number_hash}\0".encode() + content
    return hmac.digest(pepper, message, hashlib.sha256)[:_MAC_BYTES]


def _today(now: datetime) -> int:
    return (now.astimezone(SHANGHAI).date() - _EPOCH).days
