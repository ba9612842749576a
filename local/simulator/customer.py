"""What a business has entered in the open platform (guide sections 2.1 and 2.3 and the appendix)."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self


class LimitRule(StrEnum):
    """When a number's verdicts are forgotten. The guide names no rule, and resellers name either."""

    DAY = "day"
    """At midnight in Shanghai."""
    HOURS_24 = "24h"
    """24 hours after the first."""


_ENTERED: Final = {
    "publicKey": ("public_key", str),
    "origins": ("origins", frozenset),
    "referers": ("referers", frozenset),
    "addresses": ("addresses", frozenset),
    "dailyLimit": ("daily_limit", int),
    "limitRule": ("limit_rule", LimitRule),
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
    """Verdicts per number, until they are forgotten."""
    limit_rule: LimitRule = LimitRule.DAY

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
        entered = {name: getattr(self, attribute) for name, (attribute, _) in _ENTERED.items()}
        sets = {name: sorted(value) for name, value in entered.items() if isinstance(value, frozenset)}
        return {"appId": self.app_id, **entered, **sets}

    def changed(self, entered: Mapping[str, Any]) -> Self:
        """Enter other values, such as a new public key, under the names of `describe`.

        Raises
        ------
        ValueError, TypeError
            There is no such name, or a value is not of its form.
        """
        if unknown := entered.keys() - _ENTERED:
            raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_ENTERED)}")
        read = {_ENTERED[name][0]: _ENTERED[name][1](value) for name, value in entered.items()}
        return replace(self, **read)
