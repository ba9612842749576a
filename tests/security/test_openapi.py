"""docs/openapi.json is what the code says, is OpenAPI 3.1, and is kept by the answers of a running stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from local import ROOT
from local.stack import Options, Stack
from tests.support.phone import Phone, Reply, Ticket, new_pre_sign
from tests.support.stacks import phone_of, start

DESCRIBED: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())


@pytest.fixture(scope="module")
def phone() -> Iterator[Phone]:
    with start(Options()) as stack:
        yield _phone(stack)


def _phone(stack: Stack) -> Phone:
    return phone_of(stack, sim="13622223333")


def test_the_description_is_what_the_code_says(tmp_path: Path) -> None:
    made = tmp_path / "openapi.json"
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("functions", "layers/crypto", "."))

    subprocess.run(
        [sys.executable, "-m", "tests.security.describe_api", str(made)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths},
        check=True,
    )

    assert made.read_text() == (ROOT / "docs" / "openapi.json").read_text(), "run: make openapi"


def test_the_description_is_openapi() -> None:
    OpenAPIV31SpecValidator(DESCRIBED).validate()


def test_every_status_of_the_documented_table_is_described() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "api.md").read_text().splitlines()]
    documented = {(cells[1].strip(), cells[2].strip()) for cells in rows if len(cells) == 6}
    documented = {(status, code) for status, code in documented if status.isdigit() and "_" in code}

    described = {
        (status, code)
        for path in DESCRIBED["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        for code in problem_of(response).get("properties", {}).get("code", {}).get("enum", [])
    }

    assert documented
    assert described == documented


def problem_of(response: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = response["content"].get("application/problem+json", {}).get("schema", {})
    return found


def keeps_to_the_description(path: str, reply: Reply) -> None:
    response = DESCRIBED["paths"][path]["post"]["responses"][str(reply.status)]
    content = response["content"][reply.headers["Content-Type"]]
    jsonschema.validate(reply.json, content["schema"], jsonschema.Draft202012Validator)


def test_answers_are_as_described(phone: Phone) -> None:
    keeps_to_the_description("/presign", phone.presign(new_pre_sign(phone.app_id)[3]))
    keeps_to_the_description("/presign", phone.presign("no preSign"))
    keeps_to_the_description("/verify", phone.verify(phone.sim, phone.ticket()))
    keeps_to_the_description("/verify", phone.verify("13622223334", phone.ticket()))
    keeps_to_the_description("/verify", phone.verify(phone.sim, Ticket("VM_madeup", "made%2Bup")))
    keeps_to_the_description("/verify", phone.post("/verify", {"unknown": 1}))
    for path in ("/presign", "/verify"):
        keeps_to_the_description(path, phone.post(path, {}, headers={"Origin": "https://elsewhere.example"}))
        keeps_to_the_description(path, phone.post(path, {}, headers={"Content-Type": "text/plain"}))
        keeps_to_the_description(path, phone.post(path, data=b" " * 20000))
    for code in ("130018", "999999", "121011"):
        ticket = phone.ticket()
        phone.fault("resultCode", resultCode=code)
        keeps_to_the_description("/verify", phone.verify(phone.sim, ticket))
