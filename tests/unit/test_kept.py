"""An update replaces neither the table nor the pepper of a stack, and a new stack can adopt the table alone.

`kept.json` has, of each, what CloudFormation replaces it for (of the pepper also what gives it another value)
as it is deployed. The tests with the SAM CLI hold the record against the providers' schemas.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from local import ROOT
from local.template import Template

RECORD: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("kept.json").read_text())
RESOURCES: Final[Mapping[str, Any]] = Template.read(ROOT / "template.yaml").document["Resources"]


@pytest.mark.parametrize("name", RECORD)
def test_an_update_keeps_it(name: str) -> None:
    facts, resource = RECORD[name], RESOURCES.get(name, {"Properties": {}})
    lost = f"{facts['lost']} {facts['instead']} Then record it in kept.json."

    # Under another name, of another type or not there at all it would be another resource.
    assert (resource.get("Type"), resource.get("Condition")) == (facts["type"], None), lost
    assert resource.get("DeletionPolicy") == "RetainExceptOnCreate", lost
    assert resource.get("UpdateReplacePolicy") == "Retain", lost
    for each in {*facts["replacing"], *facts["recorded"]}:
        assert resource["Properties"].get(each) == facts["recorded"].get(each), f"{each}: {lost}"


def test_the_import_of_the_table_alone_is_all_but_the_pepper() -> None:
    """As the command of docs/deploy.md cuts it out of stacks/kept.yaml."""
    command = re.search(r'\$\((sed .*?)\)"', (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"))
    assert command is not None
    alone = subprocess.check_output(["sh", "-c", command[1]], cwd=ROOT, text=True)

    kept = yaml.safe_load((ROOT / "stacks" / "kept.yaml").read_text())
    assert kept["Resources"].pop("PepperSecret")
    assert yaml.safe_load(alone) == kept
