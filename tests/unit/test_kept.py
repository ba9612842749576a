"""An update of a deployed stack replaces neither the table nor the pepper.

`kept.json` has, of each, what CloudFormation replaces it for (of the pepper also what gives it another value)
as it is deployed. The tests with the SAM CLI hold the record against the providers' schemas.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

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
