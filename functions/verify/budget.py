"""The budget of a number: attempts per Shanghai day, with an owner whom no stranger can lock out.

An attempt is reserved before the platform is called and settled after it, with its outcome:

    reserve --------> call --------> settle
       |                               |-- judged: spent
       |                               |-- may have been judged: unjudged, which has a bound of its own
       |                               `-- cannot have been judged: given back
       `-- a crash from here on leaves a flight that has lapsed: unjudged, as soon as somebody needs its place

One item per owner and day has all of it, so that each step is one conditional update. It has a bounded size,
whatever strangers send: what was given back leaves a count and a time for each of so many lanes, into which
networks fall by their hashes. `attempts` is the set of what is spent or in flight, and never larger than the
limit, under any concurrency. What one network may take of it is bounded: one attempt in flight, a share of
the mismatches, a share of the attempts without a verdict. So a stranger in one network can neither fill it
nor read from an answer how full it is. Networks take turns: whose attempts came to nothing since somebody
began to wait for a place lets him go first. The day is part of the key, and that is what resets the budget;
the table's time to live only cleans up.

The owner is the number, or one of the number's known devices (`verify.devices`), whose budget nobody else
draws on.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from cmpassport.aws import DynamoDBClient
from cmpassport.clock import SHANGHAI
from cmpassport.errors import RefusedError
from verify.codes import Ending

FLIGHT_SECONDS: Final = 15.0
"""How long an attempt may be in flight: past the end of every request (`verify.verification`)."""
UNJUDGED_LIMIT: Final = 10
"""Attempts without a verdict per owner and day: the platform's own default limit."""
UNJUDGED_SHARE: Final = 5
"""How many of these one network may cause."""
FREE_REJECTIONS: Final = 2
"""Attempts of a lane without a verdict; with more, one request alone waits for a place at a time."""
_WAITING_SECONDS: Final = 2.0
"""How long a place is kept for a network that waits for one, whose clock may be another."""
_RETURN_SECONDS: Final = 2.0
"""How long after the time that it was told, for a network that was sent away."""
_LANE_DIGITS: Final = 3
"""Hexadecimal digits of a network's hash that name its lane; 4096 lanes take 180 KB of an item's 400."""
_CLEARED_AT_ONCE: Final = 50
"""Flights that one expression, which has 4 KB at most, takes."""
_KEPT_FOR: Final = timedelta(days=2)
_FLY: Final = "ADD attempts :attempt SET #flight = :until, #slot = :until, expiration = :expiration"
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class AttemptsExhaustedError(RefusedError):
    """The caller's attempts of the day are used up."""


class AttemptsInFlightError(RefusedError):
    """Attempts under way may use up the day's attempts.

    Attributes
    ----------
    worth_waiting
        Whether to ask again at once: not where the caller's own attempts keep coming to nothing.
    """

    def __init__(self, retry_after: int, *, worth_waiting: bool) -> None:
        super().__init__("other attempts at the number are under way", retry_after)
        self.worth_waiting = worth_waiting


@dataclass(frozen=True, slots=True)
class Caller:
    """Who attempts, as keyed hashes.

    Attributes
    ----------
    network
        Of the client's network.
    fingerprint
        Of the userInformation.
    """

    network: str
    fingerprint: str

    @property
    def lane(self) -> str:
        """What is kept of networks of whom there may be any number falls into so many lanes."""
        return self.network[:_LANE_DIGITS]


@dataclass(frozen=True, slots=True)
class Reservation:
    """One attempt that is reserved.

    Attributes
    ----------
    day_key
        The item's key: the owner and the Shanghai day.
    attempt_id
        Identifies the attempt.
    caller
        Who attempts.
    attempts_left
        How many more the caller's network has this day, if this one ends with a verdict.
    mismatches_left
        How many more of these may be mismatches, if this one is one.
    lapses_at
        When it is no longer in flight, aware.
    """

    day_key: str
    attempt_id: str
    caller: Caller
    attempts_left: int
    mismatches_left: int
    lapses_at: datetime


class AttemptBudget:
    """Attempts per owner and Shanghai day.

    Parameters
    ----------
    client
        DynamoDB client.
    table_name
        The table.
    limit
        Attempts a day, 1 to 1000.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, limit: int) -> None:
        self._client = client
        self._table_name = table_name
        self._limit = limit
        self._share = (limit + 1) // 2
        self._bounds = {
            "#network_mismatches": self._share,
            "#sim_mismatches": max(self._share, limit - 1),  # who knows the owner's leaves him one
            "#unjudged": UNJUDGED_SHARE,
            "unjudged": UNJUDGED_LIMIT,
        }
        self._limits = {
            ":limit": {"N": str(limit)},
            **{f":bound{bound}": {"N": str(bound)} for bound in self._bounds.values()},
        }
        self._condition = self._reservable()
        self._named = [name for name in _names("", Caller("", "")) if name in f"{self._condition} {_FLY}"]

    def reserve(
        self,
        key: str,
        attempt_id: str,
        caller: Caller,
        now: datetime,
        *,
        waits: bool = False,
        last: bool = True,
    ) -> Reservation:
        """Reserve one attempt; never more than the limit, under any concurrency.

        Parameters
        ----------
        key
            The item's key, of `day_key`.
        attempt_id
            Identifies the attempt; unique.
        caller
            Who attempts.
        now
            The present instant, aware.
        waits
            Whether the caller was refused just now, and asks again.
        last
            Whether he is sent away if he is refused.

        Raises
        ------
        AttemptsExhaustedError
            The day's attempts are used up, or the caller's share of them.
        AttemptsInFlightError
            Attempts that are under way may use them up.
        """
        try:
            item = self._reserve(key, attempt_id, caller, now)
        except _NotReservedError as refused:
            lapsed = _flights(refused.item, now, lapsed=True)
            if not lapsed:
                raise self._refuse(key, refused.item, caller, now, waits=waits, last=last) from None
            self._clear(key, lapsed)
            try:
                item = self._reserve(key, attempt_id, caller, now)
            except _NotReservedError as again:
                raise self._refuse(key, again.item, caller, now, waits=waits, last=last) from None
        if item.get("waiting_for") == {"S": caller.lane}:
            self._note(key, caller, "REMOVE waiting, waiting_for, waiting_since", "waiting_for = :lane", {})
        names = _names(attempt_id, caller)
        return Reservation(
            key,
            attempt_id,
            caller,
            attempts_left=max(self._limit - _size(item, names["#spent"]) - 1, 0),
            mismatches_left=max(self._share - _size(item, names["#network_mismatches"]) - 1, 0),
            lapses_at=now + timedelta(seconds=FLIGHT_SECONDS),
        )

    def settle(
        self, reservation: Reservation, ending: Ending, outcome: Mapping[str, Any] | None, now: datetime
    ) -> None:
        """Settle a reserved attempt and keep its outcome; once, however often it is called.

        Parameters
        ----------
        reservation
            As `reserve` returned it.
        ending
            How the attempt ended.
        outcome
            What is returned when the token comes again; None where there is none, or none is kept here.
        now
            The present instant, aware.
        """
        add: list[str] = []
        delete: list[str] = []
        match ending:
            case Ending.MATCH:
                add = ["#spent :attempt"]
            case Ending.MISMATCH:
                add = ["#spent :attempt", "#network_mismatches :attempt", "#sim_mismatches :attempt"]
            case Ending.UNJUDGED:
                add, delete = ["unjudged :attempt", "#unjudged :attempt"], ["attempts :attempt"]
            case Ending.GIVEN_BACK:
                delete = ["attempts :attempt"]
        values: dict[str, Any] = {":attempt": {"SS": [reservation.attempt_id]}}
        sets = []
        if delete:
            add.append("#rejections :one")
            sets.append("#given_back = :now")
            values |= {":one": {"N": "1"}, ":now": {"N": _milliseconds(now)}}
        if outcome is not None:
            sets.append("#outcome = :outcome")
            values[":outcome"] = {"S": _encode(outcome)}
        # A place that has lapsed may be the next attempt's by now.
        remove = ["#flight", "#slot"] if now < reservation.lapses_at else ["#flight"]
        clauses = {"ADD": add, "DELETE": delete, "SET": sets, "REMOVE": remove}
        expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
        names = _names(reservation.attempt_id, reservation.caller)
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": reservation.day_key}},
                UpdateExpression=expression,
                ConditionExpression="attribute_exists(#flight)",
                ExpressionAttributeNames={name: text for name, text in names.items() if name in expression},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if not condition_failed(error):  # else it is settled: the place may be another's
                raise

    def outcome(self, key: str, attempt_id: str) -> Mapping[str, Any] | None:
        """Return the outcome of an attempt; None where it has none, or none yet."""
        name = f"outcome {attempt_id}"
        response = self._client.get_item(
            TableName=self._table_name,
            Key={"id": {"S": key}},
            ConsistentRead=True,
            ProjectionExpression="#outcome",
            ExpressionAttributeNames={"#outcome": name},
        )
        kept = response.get("Item", {}).get(name)
        outcome: Mapping[str, Any] | None = kept and json.loads(kept["S"])
        return outcome

    def _reservable(self) -> str:
        """Write the condition of a reservation, which is the same for all."""
        below_the_limit = "(attribute_not_exists(attempts) OR size(attempts) < :limit)"
        # One attempt of a network at a time.
        network_is_free = "(attribute_not_exists(#slot) OR #slot <= :now)"
        # Whose attempt came to nothing since somebody began to wait lets him go first.
        is_his_turn = (
            "(attribute_not_exists(#given_back) OR attribute_not_exists(waiting) OR waiting <= :now"
            " OR #given_back < waiting_since OR waiting_for = :lane)"
        )
        within_bounds = " AND ".join(
            f"(attribute_not_exists({name}) OR size({name}) < :bound{bound})"
            for name, bound in self._bounds.items()
        )
        # True when the response to this very reservation was lost and botocore sends it again.
        reserved_already = "contains(attempts, :attempt_id)"
        # Such a sending may come late; once the attempt is settled, it must not fly again.
        not_settled = (
            "attribute_not_exists(#outcome) AND (attribute_not_exists(#given_back) OR #given_back <= :now)"
        )

        free = f"{below_the_limit} AND {network_is_free} AND {is_his_turn} AND {within_bounds}"
        return f"{not_settled} AND ({reserved_already} OR ({free}))"

    def _reserve(self, key: str, attempt_id: str, caller: Caller, now: datetime) -> Mapping[str, Any]:
        """Reserve in one conditional update; return the item as it then is."""
        names = _names(attempt_id, caller)
        try:
            response = self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": key}},
                UpdateExpression=_FLY,
                ConditionExpression=self._condition,
                ExpressionAttributeNames={name: names[name] for name in self._named},
                ExpressionAttributeValues={
                    ":attempt": {"SS": [attempt_id]},
                    ":attempt_id": {"S": attempt_id},
                    ":lane": {"S": caller.lane},
                    **self._limits,
                    ":now": {"N": _milliseconds(now)},
                    ":until": {"N": _milliseconds(now, FLIGHT_SECONDS)},
                    ":expiration": {"N": expiration(now)},
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if condition_failed(error):
                item = item_refused(error, self._client, self._table_name, key)
                raise _NotReservedError(item) from None
            raise
        return response["Attributes"]

    def _clear(self, key: str, lapsed: Mapping[str, int]) -> None:
        """Count attempts whose function died as unjudged, unless somebody else has done so."""
        lapsed = dict(islice(lapsed.items(), _CLEARED_AT_ONCE))
        names = {f"#flight{index}": f"flight {attempt_id}" for index, attempt_id in enumerate(lapsed)}
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": key}},
                UpdateExpression=f"DELETE attempts :lapsed ADD unjudged :lapsed REMOVE {', '.join(names)}",
                ConditionExpression=" AND ".join(f"attribute_exists({name})" for name in names),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":lapsed": {"SS": list(lapsed)}},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def _refuse(
        self, key: str, item: Mapping[str, Any], caller: Caller, now: datetime, *, waits: bool, last: bool
    ) -> RefusedError:
        """Return why there is no attempt: of others it says only that the day is used up.

        Who has to wait for others' attempts is noted, so that these do not get the next place too.
        """
        names = _names("", caller)
        in_flight = _flights(item, now, lapsed=False)
        used_up = any(_size(item, names.get(name, name)) >= bound for name, bound in self._bounds.items())
        if used_up or _size(item, "attempts") - len(in_flight) >= self._limit:
            return AttemptsExhaustedError("the day's attempts are used up", seconds_left(key, now))
        present = int(_milliseconds(now))
        slot, given_back = (_number(item, names[name]) for name in ("#slot", "#given_back"))
        kept_until = _number(item, "waiting")
        # Given back by an environment whose clock is ahead, or since this one looked at its own.
        overtaken = given_back > present
        is_his = item.get("waiting_for") == {"S": caller.lane}
        has_to_yield = kept_until > present and given_back >= _number(item, "waiting_since") and not is_his
        free_at = slot if slot > present else min(in_flight.values(), default=present)
        retry_after = max(-((present - max(free_at, kept_until if has_to_yield else 0)) // 1000), 1)
        may_be_next = slot <= present and not (overtaken or has_to_yield)
        worth_waiting = (
            overtaken
            or _number(item, names["#rejections"]) <= FREE_REJECTIONS
            or (may_be_next and (waits or kept_until <= present))
        )
        if may_be_next and (worth_waiting or is_his):
            is_sent_away = last or not worth_waiting
            until = _milliseconds(now, retry_after + _RETURN_SECONDS if is_sent_away else _WAITING_SECONDS)
            began, condition = ", waiting_since = :now", "attribute_not_exists(waiting) OR waiting <= :now"
            if kept_until > present:  # for others; who has to yield does so longer
                began, condition = "", "waiting > :now AND waiting < :until"
            values = {":now": {"N": str(present)}, ":until": {"N": until}}
            self._note(key, caller, f"SET waiting = :until, waiting_for = :lane{began}", condition, values)
        return AttemptsInFlightError(retry_after, worth_waiting=worth_waiting)

    def _note(self, key: str, caller: Caller, update: str, condition: str, values: Mapping[str, Any]) -> None:
        """Note that somebody waits, or waits no longer; where that fails, the answer is the same."""
        with suppress(ClientError, BotoCoreError):
            self._client.update_item(
                TableName=self._table_name,
                Key={"id": {"S": key}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues={":lane": {"S": caller.lane}, **values},
            )


class _NotReservedError(Exception):
    """The condition of a reservation failed; has the item as it is."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__()
        self.item = item


def day_key(owner: str, now: datetime) -> str:
    """Return the key of an owner's item on the Shanghai day of an instant."""
    return f"{owner}#{now.astimezone(SHANGHAI):%Y%m%d}"


def seconds_left(key: str, now: datetime) -> int:
    """Return the seconds until a key's day ends: 1 to 86400, and 1 where it has ended meanwhile."""
    midnight = datetime.combine(date.fromisoformat(key[-8:]), time(), SHANGHAI) + timedelta(days=1)
    return max(-((now - midnight) // timedelta(seconds=1)), 1)


def expiration(now: datetime) -> str:
    """Return when an item of the day may be deleted, in seconds since 1970."""
    return str(int((now + _KEPT_FOR).timestamp()))


def condition_failed(error: ClientError) -> bool:
    """Return whether a conditional write failed by its condition."""
    return bool(error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")


def item_refused(error: ClientError, client: DynamoDBClient, table_name: str, key: str) -> Mapping[str, Any]:
    """Return the item on which a conditional write failed; DynamoDB Local has to be asked for it."""
    item: Mapping[str, Any] | None = dict(error.response).get("Item")  # type: ignore[assignment] # not in the stubs
    if item is None:
        response = client.get_item(TableName=table_name, Key={"id": {"S": key}}, ConsistentRead=True)
        item = response.get("Item", {})
    return item


def _names(attempt_id: str, caller: Caller) -> dict[str, str]:
    return {
        "#flight": f"flight {attempt_id}",
        "#outcome": f"outcome {attempt_id}",
        "#slot": f"slot {caller.network}",
        "#spent": f"spent by {caller.network}",
        "#unjudged": f"unjudged by {caller.network}",
        "#rejections": f"rejections of {caller.lane}",
        "#given_back": f"given back by {caller.lane}",
        "#network_mismatches": f"mismatches of {caller.network}",
        "#sim_mismatches": f"mismatches with {caller.fingerprint}",
    }


def _flights(item: Mapping[str, Any], now: datetime, *, lapsed: bool) -> dict[str, int]:
    """Return the attempts in flight, or those that lapsed, with their ends in milliseconds since 1970."""
    present = int(_milliseconds(now))
    ends = {
        name.removeprefix("flight "): int(value["N"])
        for name, value in item.items()
        if name.startswith("flight ")
    }
    return {attempt: end for attempt, end in ends.items() if (end <= present) is lapsed}


def _size(item: Mapping[str, Any], name: str) -> int:
    return len(item.get(name, {}).get("SS", ()))


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))


def _milliseconds(now: datetime, seconds: float = 0) -> str:
    return str(int((now.timestamp() + seconds) * 1000))
