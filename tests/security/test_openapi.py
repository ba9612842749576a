"""docs/openapi.yaml says what the code does: its refusals, and what each member of a request may be.

That answers are as it says is checked wherever a test gets one (`tests.support.phone`).
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from cmpassport.members import InvalidMembersError
from cmpassport.problems import Problem
from presign.grammar import PreSignGrammar, PreSignRejectedError
from tests.support import description
from tests.support.description import API
from verify.submission import Submission

SCHEMAS: Final = API["components"]["schemas"]
CHARACTERS: Final = [*map(chr, range(0x100)), "\u0660", "\uff10", "\u2028", "\U0001f600"]
PRE_SIGNS: Final = description.members("/presign")["preSign"]["examples"]
EXPONENT: Final = "0000015.912e-1020261124141912136cms-f47ac10b-58cc-4372-a567-0e02b2c3d4791.2"
GRAMMAR: Final = PreSignGrammar("000001", None)


def test_the_description_is_openapi() -> None:
    OpenAPIV31SpecValidator(API).validate()


def test_refusals_are_those_of_the_code() -> None:
    described = {
        name: {
            member: schema["const"]
            for member, schema in SCHEMAS[name]["properties"].items()
            if "const" in schema
        }
        for name in SCHEMAS
        if name.islower()
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


def accepts_member(name: str) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            Submission.from_fields(
                {"phoneNum": "13999994444", "token": "t", "userInformation": "u", name: text}
            )
        except InvalidMembersError:
            return False
        return True

    return accepts


def with_one_character_changed(text: str) -> Iterator[str]:
    """Replace, insert and drop a character at every place."""
    for place in range(len(text) + 1):
        yield text[:place] + text[place + 1 :]
        for character in CHARACTERS:
            yield text[:place] + character + text[place + 1 :]
            yield text[:place] + character + text[place:]


PATTERNS: Final[list[Any]] = [
    *(pytest.param("preSign", accepts_pre_sign, text, id=text[6:12]) for text in (*PRE_SIGNS, EXPONENT)),
    *((name, accepts_member(name), "aZ9") for name in ("token", "userInformation", "expandParams", "nonce")),
]
MEMBERS: Final = {**description.members("/presign"), **description.members("/verify")}


@pytest.mark.parametrize(("name", "accepts", "example"), PATTERNS)
def test_a_pattern_is_as_wide_as_the_code(name: str, accepts: Callable[[str], bool], example: str) -> None:
    described = MEMBERS[name]["pattern"].removesuffix("$").replace("[0-9]{1,32}", "000001")  # of any appId
    pattern = re.compile(described + r"\Z", re.ASCII)

    different = [
        text for text in with_one_character_changed(example) if accepts(text) != bool(pattern.match(text))
    ]

    assert accepts(example)
    assert different == []


@pytest.mark.parametrize("name", ["token", "userInformation", "expandParams", "nonce"])
def test_a_pattern_is_as_long_as_the_code(name: str) -> None:
    pattern = MEMBERS[name]["pattern"]
    longest = int(pattern.rpartition(",")[2].rstrip("}$"))
    accepts = accepts_member(name)

    assert [accepts("a" * length) for length in (longest, longest + 1)] == [True, False]
    assert accepts("") == ("{0," in pattern)
