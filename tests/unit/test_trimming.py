"""The trimmed descriptions of AWS's services: what is kept is botocore's own, and so are the addresses."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final, NamedTuple

import botocore
import pytest
from botocore.config import Config
from botocore.session import Session

from tests.support.functions import trim_script

DATA: Final = Path(botocore.__file__).parent / "data"
UNCHECKED: Final = Config(parameter_validation=False)
CALLED: Final = {"dynamodb": "get_item", "secretsmanager": "get_secret_value"}


class Sessions(NamedTuple):
    """botocore with its own descriptions and with the trimmed ones."""

    full: Session
    trimmed: Session


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    folder = tmp_path_factory.mktemp("data")
    trim = trim_script()
    for path in DATA.glob("*.json"):
        shutil.copy(path, folder)
    for service, operations in trim.OPERATIONS.items():
        shutil.copytree(DATA / service, folder / service)
        trim.trim_service(folder / service, operations)
    trim.trim_endpoints(folder / "endpoints.json")
    full, trimmed = Session(), Session()
    loader = trimmed.get_component("data_loader")
    loader._search_paths[:] = [str(folder)]  # noqa: SLF001 - else it adds to them
    loader.BUILTIN_DATA_PATH = str(folder)  # else rule sets are not asked
    for session in (full, trimmed):
        session.set_credentials("testing", "testing")
    return Sessions(full, trimmed)


def regions(session: Session, service: str) -> list[str]:
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition, allow_non_regional=True)
    ]


def address(session: Session, service: str, region: str) -> str:
    client: Any = session.create_client(service, region, config=UNCHECKED)
    signed: str = client.generate_presigned_url(CALLED[service])
    return signed.partition("?")[0]


@pytest.mark.parametrize("service", CALLED)
def test_every_region_of_every_partition_has_the_same_address(sessions: Sessions, service: str) -> None:
    known = regions(sessions.full, service)
    assert regions(sessions.trimmed, service) == known
    assert {"cn-north-1", "cn-northwest-1", "ap-southeast-1", "us-gov-west-1", "us-iso-east-1"} <= set(known)

    for region in [*known, "xx-new-1"]:
        full, trimmed = (address(session, service, region) for session in sessions)
        assert (region, trimmed) == (region, full)


def test_what_is_kept_of_a_service_is_whole_and_as_it_was(sessions: Sessions) -> None:
    for service, operations in trim_script().OPERATIONS.items():
        full, trimmed = (
            session.get_component("data_loader").load_service_model(service, "service-2")
            for session in sessions
        )
        named = re.findall(r'"shape": "(\w+)"', json.dumps(trimmed))

        assert trimmed["operations"].keys() == operations
        assert trimmed["shapes"].keys() == set(named)
        for section in ("operations", "shapes"):
            for name, kept in trimmed[section].items():
                assert kept == undocumented(full[section][name])


def undocumented(value: Any) -> Any:
    if isinstance(value, list):
        return [undocumented(each) for each in value]
    if isinstance(value, dict):
        return {
            name: undocumented(each) for name, each in value.items() if not name.startswith("documentation")
        }
    return value


def test_the_edits_suit_the_locked_packages_and_what_is_not_as_expected_fails(tmp_path: Path) -> None:
    trim = trim_script()
    packages = DATA.parents[1]
    for name, expected, replacement in trim.EDITS:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copy(packages / name, copy)
        trim.edit(copy, expected, replacement)
        compile(copy.read_text(encoding="utf-8"), name, "exec")
        for wrong in ("what the module does not have", "."):  # none, or too many
            with pytest.raises(ValueError, match="not as expected"):
                trim.edit(copy, wrong, "")
