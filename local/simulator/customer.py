"""What a business has entered in the open platform (guide sections 2.1 and 2.3 and the appendix)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Customer:
    """One app as the open platform knows it.

    Attributes
    ----------
    app_id, app_key
        As the open platform hands them out.
    public_key
        The customer's public key: bare Base64 of an X.509 SubjectPublicKeyInfo. Empty stands for a
        configuration that is not live yet: whatever needs the key is answered with 103605.
    origins, referers
        As reported, compared as they stand: an origin reported with a trailing "/" matches no page,
        as on the platform.
    addresses
        White list of outgoing addresses; an entry may be a network such as ``172.16.0.0/12``.
    daily_limit
        Verdicts per number and day of Shanghai.
    """

    app_id: str
    app_key: str
    public_key: str
    origins: frozenset[str]
    referers: frozenset[str]
    addresses: frozenset[str] = frozenset({"127.0.0.1"})
    daily_limit: int = 10

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
