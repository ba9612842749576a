"""What a business has entered in the open platform (guide sections 2.1 and 2.3 and the appendix)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final


class LimitWindow(Enum):
    """When a number's verdicts are forgotten: no source but resellers says which it is."""

    DAY = "day"
    """At midnight in Shanghai."""
    FROM_FIRST_CALL = "24h"
    """24 hours after the first."""


_SETS: Final = {"origins": "origins", "referers": "referers", "addresses": "addresses"}
_FIELDS: Final = {
    "publicKey": "public_key",
    "dailyLimit": "daily_limit",
    "limitWindow": "limit_window",
    **_SETS,
}


@dataclass(frozen=True, slots=True)
class Customer:
    """One app as the open platform knows it."""

    app_id: str
    app_key: str
    public_key: str
    """The customer's: bare Base64 of an X.509 SubjectPublicKeyInfo. Empty stands for a configuration that is
    not live yet: whatever needs the key is answered with 103605."""
    origins: frozenset[str]
    referers: frozenset[str]
    """As reported, compared as they stand: an origin reported with a trailing "/" matches no page."""
    addresses: frozenset[str] = frozenset({"127.0.0.1"})
    """White list of outgoing addresses; an entry may be a network such as ``172.16.0.0/12``."""
    daily_limit: int = 10
    """Verdicts per number and `limit_window`."""
    limit_window: LimitWindow = LimitWindow.DAY

    def __post_init__(self) -> None:
        for entry in self.addresses:
            ipaddress.ip_network(entry, strict=False)  # a ValueError here names the entry

    def admits(self, address: str) -> bool:
        """Tell whether the white list holds this client address."""
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(client in ipaddress.ip_network(entry, strict=False) for entry in self.addresses)

    def reported_page(self, referer: str) -> bool:
        """Tell whether a Referer header names a reported page (query and fragment do not count)."""
        return referer.partition("#")[0].partition("?")[0] in self.referers

    def describe(self) -> dict[str, Any]:
        """Return what was entered, without the appKey."""
        return {
            "appId": self.app_id,
            "publicKey": self.public_key,
            "origins": sorted(self.origins),
            "referers": sorted(self.referers),
            "addresses": sorted(self.addresses),
            "dailyLimit": self.daily_limit,
            "limitWindow": self.limit_window.value,
        }

    def changed(self, entered: dict[str, Any]) -> Customer:
        """Enter other values, such as a new public key, under the names of `describe`.

        Raises
        ------
        ValueError
            There is no such name, or a value is not of its form.
        """
        values: dict[str, Any] = {}
        for name, value in entered.items():
            if name not in _FIELDS:
                raise ValueError(f"there is no {name}; there are {', '.join(_FIELDS)}")
            values[_FIELDS[name]] = frozenset(map(str, value)) if name in _SETS else value
        if "limit_window" in values:
            values["limit_window"] = LimitWindow(values["limit_window"])
        if "daily_limit" in values:
            values["daily_limit"] = int(values["daily_limit"])
        return replace(self, **values)
