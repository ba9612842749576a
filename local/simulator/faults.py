"""Faults on demand: which there are, how they are asked for, and which one a request meets.

A fault is armed for the next N requests of an endpoint, or asked for by one request in the header or query
parameter ``X-Simulator-Fault``, written ``name`` or ``name;parameter=value;parameter=value``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

E = TypeVar("E", bound=Enum)


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


class When(Enum):
    """When a connection is reset: before the request's body is read, or after the work is done."""

    BEFORE = "before"
    AFTER = "after"


class FaultError(ValueError):
    """A fault that does not exist or makes no sense; the text says which."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with all its parameters; those that its name does not use keep their defaults.

    Attributes
    ----------
    result_code
        The code answered by ``resultCode``.
    status
        The HTTP status of ``status`` (500), ``unavailable`` (503) and ``html`` (200).
    seconds
        The pause of ``delay`` (3), or between two bytes of ``drip`` and ``dripHeaders`` (0.2).
    size
        Bytes of an ``oversized`` answer.
    when
        When ``reset`` happens.
    """

    name: FaultName
    result_code: str = "999999"
    status: int = 500
    seconds: float = 0.2
    size: int = 1 << 20
    when: When = When.AFTER

    @property
    def replaces_work(self) -> bool:
        """Tell whether the platform does nothing at all."""
        return self.name in _REPLACING or (self.name is FaultName.RESET and self.when is When.BEFORE)

    def describe(self) -> dict[str, Any]:
        """Return the fault as it is asked for."""
        values = {
            "resultCode": self.result_code,
            "status": self.status,
            "seconds": self.seconds,
            "bytes": self.size,
            "when": self.when.value,
        }
        return {"fault": self.name.value, **{key: values[key] for key in _PARAMETERS.get(self.name, ())}}


_REPLACING: Final = frozenset(
    {
        FaultName.RESULT_CODE,
        FaultName.STATUS,
        FaultName.UNAVAILABLE,
        FaultName.HTML,
        FaultName.NOT_JSON,
    }
)

# Those that spoil a JSON answer need one; the others work on any response.
_ENDPOINTS: Final = {
    FaultName.RESULT_CODE: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.NOT_JSON: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.WRONG_MSG_ID: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.WRONG_APP_ID: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.MISSING_RESULT_CODE: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.OVERSIZED: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.TRUNCATED: {Endpoint.VERIFY, Endpoint.GET_TOKEN},
    FaultName.NO_GET_CONNECTION: {Endpoint.SDK},
}

_PARAMETERS: Final = {
    FaultName.RESULT_CODE: ("resultCode",),
    FaultName.STATUS: ("status",),
    FaultName.UNAVAILABLE: ("status",),
    FaultName.HTML: ("status",),
    FaultName.DELAY: ("seconds",),
    FaultName.DRIP: ("seconds",),
    FaultName.DRIP_HEADERS: ("seconds",),
    FaultName.OVERSIZED: ("bytes",),
    FaultName.RESET: ("when",),
}

_DEFAULTS: Final[dict[FaultName, dict[str, Any]]] = {
    FaultName.UNAVAILABLE: {"status": 503},
    FaultName.HTML: {"status": 200},
    FaultName.DELAY: {"seconds": 3},
}

_MAX_SECONDS: Final = 600
_MAX_BYTES: Final = 64 << 20


def read_fault(wanted: dict[str, Any], endpoint: Endpoint) -> Fault:
    """Read ``{"fault": name, parameter: value, …}``; numbers may come as text.

    Raises
    ------
    FaultError
        Unknown name, unknown parameter, a value out of range, or a fault this endpoint cannot have.
    """
    name = _member(FaultName, wanted.get("fault"), "fault")
    if endpoint not in _ENDPOINTS.get(name, set(Endpoint)):
        raise FaultError(f"{name.value} is no fault of {endpoint.value}")
    given = {key: value for key, value in wanted.items() if key != "fault"}
    if unknown := sorted(given.keys() - set(_PARAMETERS.get(name, ()))):
        raise FaultError(f"{name.value} has no parameter {unknown[0]}")
    values = {**_DEFAULTS.get(name, {}), **given}
    defaults = Fault(name)
    return Fault(
        name,
        result_code=str(values.get("resultCode", defaults.result_code)),
        status=int(_number(values, "status", 200, 599, defaults.status)),
        seconds=_number(values, "seconds", 0, _MAX_SECONDS, defaults.seconds),
        size=int(_number(values, "bytes", 1, _MAX_BYTES, defaults.size)),
        when=_member(When, values.get("when", defaults.when.value), "when"),
    )


def read_fault_text(text: str, endpoint: Endpoint) -> Fault:
    """Read ``name;parameter=value``.

    Raises
    ------
    FaultError
        As `read_fault`.
    """
    name, *pairs = (part.strip() for part in text.split(";"))
    return read_fault({"fault": name, **dict(_pair(pair) for pair in pairs)}, endpoint)


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip()


def _member(kind: type[E], value: object, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise FaultError(f"{what} must be one of: {known}") from None


def _number(values: dict[str, Any], key: str, least: float, most: float, default: float) -> float:
    try:
        number = float(values.get(key, default))
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most:
        raise FaultError(f"{key} must be a number from {least} to {most}")
    return number


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

    def arm(self, wanted: object) -> None:
        """Arm ``{"fault": name, "on": endpoint, "times": N, parameter: value, …}``.

        Raises
        ------
        FaultError
            What is asked for makes no sense.
        """
        if not isinstance(wanted, dict):
            raise FaultError("a fault is a JSON object")
        rest = dict(wanted)
        endpoint = _member(Endpoint, rest.pop("on", Endpoint.VERIFY.value), "on")
        times = int(_number({"times": rest.pop("times", 1)}, "times", 0, 1_000_000, 1))
        armed = _Armed(endpoint, read_fault(rest, endpoint), times)
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
