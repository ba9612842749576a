"""That the target `real` is what it says: the built bundle, untouched, and DynamoDB Local."""

from pathlib import Path

from local import ROOT
from local.stack import Options
from tests.support.parts import real_parts, required
from tests.support.stacks import client_of, phone_of


def state(build: Path) -> dict[str, tuple[int, int]]:
    facts = {path: path.lstat() for path in build.rglob("*")}
    return {str(path): (fact.st_mtime_ns, fact.st_size) for path, fact in facts.items()}


def test_attempts_are_in_dynamodb_local_and_the_bundle_is_as_it_was_built(tmp_path: Path) -> None:
    build = ROOT / ".aws-sam" / "build"
    before = state(build)

    with required(), real_parts(tmp_path / "layers") as start, start(Options()) as stack:
        phone = phone_of(stack, sim="13600000008")
        assert phone.verify(phone.sim, phone.ticket()).json["attemptsLeft"] == 4
        local = client_of(stack, "dynamodb")
        items = local.scan(TableName=stack.table_name)["Items"]
        life = local.describe_time_to_live(TableName=stack.table_name)["TimeToLiveDescription"]

    assert [item["attempts"] for item in items if "attempts" in item and len(item["attempts"]["SS"]) == 1]
    assert (life["TimeToLiveStatus"], life["AttributeName"]) == ("ENABLED", "expiration")
    assert stack.dynamodb != stack.aws
    assert state(build) == before
