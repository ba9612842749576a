"""The table of attempts. It is described, never written to: whoever runs the doctor is not the function."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tools.doctor.facts import Facts, World
from tools.doctor.place import Origin
from tools.doctor.steps.settings import where_to_set
from tools.doctor.steps.step import Step
from tools.doctor.steps.stored import aws_takes_nothing
from tools.findings import Finding, fault, fine, unknown, warning
from tools.trouble import AWS_REMEDIES, Kind, Trouble

_KEY: Final = "id HASH S"
_EXPIRES_BY: Final = "expiration"


def _look(facts: Facts, world: World) -> Facts:
    if facts.settings.verify is None or not facts.settings.has("TABLE_NAME") or aws_takes_nothing(facts):
        return facts
    return replace(facts, table=world.describe_table(facts.settings.verify.table_name))


def the_table_is_as_the_function_needs_it(facts: Facts) -> Iterator[Finding]:
    """Look whether it is there, with the key that the function writes."""
    if facts.settings.verify is None or facts.table is None:
        yield unknown("table", "The table was not looked at.", "Mend what stands above first.")
        return
    table, name = facts.table, facts.settings.verify.table_name
    if table.trouble is not None:
        yield _judge(facts, name, table.trouble)
    elif table.keys != (_KEY,):
        yield fault(
            "table-key",
            f"Table {name} has the key {', '.join(table.keys)}; the function writes {_KEY} alone.",
            f"A key cannot be changed: make the table anew from template.yaml. "
            f"{where_to_set(facts.place, 'TABLE_NAME')}.",
        )
    elif table.status not in {"ACTIVE", "UPDATING"}:
        yield warning("table-status", f"Table {name} is {table.status}.", "Wait until it is ACTIVE.")
    else:
        yield fine("table", f"Table {name} is {table.status} and has the key id.")


def _judge(facts: Facts, name: str, trouble: Trouble) -> Finding:
    if trouble.kind is Kind.NOT_FOUND:
        return fault(
            "table-not-found",
            f"There is no table {name} in this account and region.",
            f"{where_to_set(facts.place, 'TABLE_NAME')}; or look in another region (--region) or account.",
        )
    rights = "Have this identity allowed dynamodb:DescribeTable and dynamodb:DescribeTimeToLive."
    what = f"Table {name} cannot be seen ({trouble.name})."
    return fault(f"table-{trouble.kind.value}", what, AWS_REMEDIES.get(trouble.kind, rights))


def old_items_expire(facts: Facts) -> Iterator[Finding]:
    """Look whether DynamoDB deletes what is over."""
    if facts.settings.verify is None or facts.table is None or facts.table.keys != (_KEY,):
        return
    if facts.table.expires_by == _EXPIRES_BY:
        yield fine("table-expiry", f"Items expire by {_EXPIRES_BY}.")
        return
    name = facts.settings.verify.table_name
    yield warning(
        "table-expiry",
        f"Table {name} does not expire items by {_EXPIRES_BY}: nothing is ever deleted from it.",
        f"`aws dynamodb update-time-to-live --table-name {name} "
        f"--time-to-live-specification Enabled=true,AttributeName={_EXPIRES_BY}`",
    )


def rights_are_not_tried(facts: Facts) -> Iterator[Finding]:
    """Say that no write was tried: with the operator's rights it would prove nothing of the function's."""
    if facts.place.origin is Origin.STACK and not facts.asked.probe:
        yield unknown(
            "table-writes",
            "Whether the function may write is not tried: a write from here has your rights, not its own.",
            "--probe has the deployed function write an attempt and give it back.",
        )


STEP: Final = Step(
    "Table", _look, (the_table_is_as_the_function_needs_it, old_items_expire, rights_are_not_tried)
)
