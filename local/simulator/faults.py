"""Faults on demand: which there are, how they are armed, and which one a request meets."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Endpoint(Enum):
    """What a fault can be armed on."""

    VERIFY = "verify"
    GET_TOKEN = "getToken"  # noqa: S105 - an endpoint's name
    GET_MOBILE = "getMobile"
    SDK = "sdk"


class FaultName(Enum):
    """All faults, by what becomes of the request."""

    # The platform does nothing: no check, no verdict, no token used up.
    RESULT_CODE = "resultCode"
    STATUS = "status"
    UNAVAILABLE = "unavailable"
    HTML = "html"
    NOT_JSON = "notJson"
    # The platform does its work, and its answer is spoiled.
    WRONG_MSG_ID = "wrongMsgId"
    WRONG_APP_ID = "wrongAppId"
    MISSING_RESULT_CODE = "missingResultCode"
    OVERSIZED = "oversized"
    TRUNCATED = "truncated"
    NO_GET_CONNECTION = "noGetConnection"
    # The platform does its work, and its answer comes late, slowly, in part or not at all.
    DELAY = "delay"
    DRIP = "drip"
    DRIP_HEADERS = "dripHeaders"
    CUT = "cut"
    RESET = "reset"


class FaultError(ValueError):
    """A fault that does not exist or makes no sense; the text says which."""


_MESSAGES: Final = frozenset({Endpoint.VERIFY, Endpoint.GET_TOKEN})
_ALL: Final = frozenset(Endpoint)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which endpoints can have a fault, and its parameters with their defaults."""

    endpoints: frozenset[Endpoint] = _ALL
    parameters: dict[str, Any] = field(default_factory=dict)
    replaces: bool = False  # the platform does nothing


# Those that spoil a JSON answer need one; the others work on any response. Seconds are those of the pause, or
# between two bytes; a reset happens before the request's body is read, or after the work is done.
_KINDS: Final = {
    FaultName.RESULT_CODE: _Kind(_MESSAGES, {"resultCode": "999999"}, replaces=True),
    FaultName.STATUS: _Kind(_ALL, {"status": 500}, replaces=True),
    FaultName.UNAVAILABLE: _Kind(_ALL, {"status": 503}, replaces=True),
    FaultName.HTML: _Kind(_ALL, {"status": 200}, replaces=True),
    FaultName.NOT_JSON: _Kind(_MESSAGES, replaces=True),
    FaultName.WRONG_MSG_ID: _Kind(_MESSAGES),
    FaultName.WRONG_APP_ID: _Kind(_MESSAGES),
    FaultName.MISSING_RESULT_CODE: _Kind(_MESSAGES),
    FaultName.OVERSIZED: _Kind(_MESSAGES, {"bytes": 1 << 20}),
    FaultName.TRUNCATED: _Kind(_MESSAGES),
    FaultName.NO_GET_CONNECTION: _Kind(frozenset({Endpoint.SDK})),
    FaultName.DELAY: _Kind(_ALL, {"seconds": 3.0}),
    FaultName.DRIP: _Kind(_ALL, {"seconds": 0.2}),
    FaultName.DRIP_HEADERS: _Kind(_ALL, {"seconds": 0.2}),
    FaultName.CUT: _Kind(),
    FaultName.RESET: _Kind(_ALL, {"when": "after"}),
}
_BOUNDS: Final = {"status": (200, 599), "seconds": (0, 600), "bytes": (1, 64 << 20), "times": (0, 1_000_000)}
_CHOICES: Final = {"when": ("before", "after")}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with all its parameters."""

    name: FaultName
    parameters: dict[str, Any]

    @property
    def replaces_work(self) -> bool:
        """Tell whether the platform does nothing at all."""
        return _KINDS[self.name].replaces or self.parameters.get("when") == "before"

    def describe(self) -> dict[str, Any]:
        """Return the fault as it is asked for."""
        return {"fault": self.name.value, **self.parameters}


def _read_fault(wanted: dict[str, Any], endpoint: Endpoint) -> Fault:
    """Read ``{"fault": name, parameter: value, …}``."""
    name = FaultName(_chosen(wanted.get("fault"), "fault", [each.value for each in FaultName]))
    kind = _KINDS[name]
    if endpoint not in kind.endpoints:
        raise FaultError(f"{name.value} is not a fault of {endpoint.value}")
    given = {key: value for key, value in wanted.items() if key != "fault"}
    if unknown := sorted(given.keys() - kind.parameters.keys()):
        raise FaultError(f"{name.value} has no parameter {unknown[0]}")
    return Fault(name, {key: _read(key, value) for key, value in {**kind.parameters, **given}.items()})


def _read(key: str, value: Any) -> Any:
    if key in _CHOICES:
        return _chosen(value, key, _CHOICES[key])
    if key not in _BOUNDS:
        return str(value)
    low, high = _BOUNDS[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise FaultError(f"{key} must be a number from {low} to {high}")
    return number if key == "seconds" else int(number)


def _chosen(value: object, what: str, known: list[str] | tuple[str, ...]) -> str:
    if value not in known:
        raise FaultError(f"{what} must be one of: {', '.join(known)}")
    return str(value)


@dataclass(slots=True)
class _Armed:
    endpoint: Endpoint
    fault: Fault
    left: int  # 0 = until cleared


class Faults:
    """The armed faults, first in, first out per endpoint. Safe for threads."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def arm(self, wanted: Mapping[str, Any]) -> None:
        """Arm ``{"fault": name, "on": endpoint, "times": N, parameter: value, …}``; numbers may come as text.

        Raises
        ------
        FaultError
            Unknown name, unknown parameter, a value out of range, or a fault this endpoint cannot have.
        """
        rest = dict(wanted)
        endpoint = Endpoint(_chosen(rest.pop("on", "verify"), "on", [each.value for each in Endpoint]))
        times = _read("times", rest.pop("times", 1))
        armed = _Armed(endpoint, _read_fault(rest, endpoint), times)
        with self._lock:
            self._armed.append(armed)

    def take(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self._lock:
            armed = next((each for each in self._armed if each.endpoint is endpoint), None)
            if armed is None:
                return None
            if armed.left == 1:
                self._armed.remove(armed)
            elif armed.left:
                armed.left -= 1
            return armed.fault

    def describe(self) -> list[dict[str, Any]]:
        """Return what is armed, as it would be asked for."""
        with self._lock:
            return [
                {**each.fault.describe(), "on": each.endpoint.value, "times": each.left}
                for each in self._armed
            ]

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()
