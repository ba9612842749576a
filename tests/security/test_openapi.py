"""docs/openapi.yaml says what the code does: its refusals, and what each member of a request may be.

That answers are as it says is checked wherever a test gets one (`tests.support.phone`).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from cmpassport.members import InvalidMembersError
from cmpassport.problems import Problem
from presign.grammar import PreSignGrammar, PreSignRejectedError
from tests.fuzz.targets import one_character_away
from tests.support import description
from tests.support.description import API
from verify.submission import Submission

SCHEMAS: Final = API["components"]["schemas"]
PRE_SIGNS: Final = description.members("/presign")["preSign"]["examples"]
EXPONENT: Final = "0000015.912e-1020261124141912136cms-f47ac10b-58cc-4372-a567-0e02b2c3d4791.2"
GRAMMAR: Final = PreSignGrammar("000001", None)


def test_the_description_is_openapi() -> None:
    OpenAPIV31SpecValidator(API).validate()


def test_refusals_are_those_of_the_code() -> None:
    refusals = {name: schema["properties"] for name, schema in SCHEMAS.items() if name.islower()}
    described = {
        name: {member: schema["const"] for member, schema in properties.items() if "const" in schema}
        for name, properties in refusals.items()
    }

    assert described == {
        problem.code: {
            "type": f"urn:problem-type:number-verification:{problem.code}",
            "title": problem.title,
            "status": problem.status.value,
            "code": problem.code,
            "action": problem.action.value,
        }
        for problem in Problem
    }


def test_a_refusal_is_described_at_its_status() -> None:
    found = set()
    for path, operations in API["paths"].items():
        (method,) = operations
        for status, response in description.responses(method, path).items():
            codes = set(re.findall(r"#/components/schemas/([a-z_]+)'", str(response)))
            assert {SCHEMAS[code]["properties"]["status"]["const"] for code in codes} <= {int(status)}
            found |= codes

    assert found == {problem.code for problem in Problem}


def accepts_pre_sign(text: str) -> bool:
    try:
        GRAMMAR.check(text, datetime.now(UTC))
    except PreSignRejectedError as error:
        return "calendar" in str(error)
    return True


def accepts_member(name: str, text: str) -> bool:
    fields = {"phoneNum": "13999994444", "token": "t", "userInformation": "u"}
    try:
        Submission.from_fields({**fields, name: text})
    except InvalidMembersError:
        return False
    return True


PATTERNED: Final = ("token", "userInformation", "expandParams", "nonce")
PATTERNS: Final[list[Any]] = [
    *(pytest.param("preSign", accepts_pre_sign, text, id=text[6:12]) for text in (*PRE_SIGNS, EXPONENT)),
    *((name, partial(accepts_member, name), "aZ9") for name in PATTERNED),
]
MEMBERS: Final = {**description.members("/presign"), **description.members("/verify")}


@pytest.mark.parametrize(("name", "accepts", "example"), PATTERNS)
def test_a_pattern_is_as_wide_as_the_code(name: str, accepts: Callable[[str], bool], example: str) -> None:
    described = MEMBERS[name]["pattern"].removesuffix("$").replace("[0-9]{1,32}", "000001")  # of any appId
    pattern = re.compile(described + r"\Z", re.ASCII)

    different = [text for text in one_character_away(example) if accepts(text) != bool(pattern.match(text))]

    assert accepts(example)
    assert different == []


@pytest.mark.parametrize("name", PATTERNED)
def test_a_pattern_is_as_long_as_the_code(name: str) -> None:
    pattern = MEMBERS[name]["pattern"]
    longest = int(pattern.rpartition(",")[2].rstrip("}$"))

    assert [accepts_member(name, "a" * length) for length in (longest, longest + 1)] == [True, False]
    assert accepts_member(name, "") == ("{0," in pattern)
