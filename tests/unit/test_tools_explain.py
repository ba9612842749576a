"""`explain`: every code, by the very tables that the functions go by; in two languages."""

import re
from typing import Final

import pytest

from cmpassport.problems import Problem
from local import ROOT
from tests.support.operator import Run, runner
from tools.explain import CODES
from tools.messages import table
from verify.codes import _KNOWN, Ending, Who, look_up

REFUSALS: Final = {problem.code for problem in Problem}
SIBLINGS: Final = [code for code in CODES if code.isdigit() and code not in _KNOWN]


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    run = runner(monkeypatch, capsys)
    return lambda *arguments: run("explain", *arguments)


def test_each_code_that_functions_client_and_back_end_know_is_explained_and_listed(explain: Run) -> None:
    client = (ROOT / "web" / "number-verification.d.ts").read_text()
    codes = re.findall(r"^  \| '([a-z_]+)'", client, re.MULTILINE)
    business = (ROOT / "local" / "business.py").read_text()
    reasons = re.findall(r'"([a-z]+_[a-z]+|expired|malformed)",?$', business)

    assert {"wifi", "match_without_receipt"} <= {*codes}
    assert {*_KNOWN, *REFUSALS, *codes, *reasons} <= {*CODES}
    for language in ("en", "zh"):
        listed = explain("--list", "--lang", language).out.splitlines()
        assert [line.split()[0] for line in listed] == [*CODES]


@pytest.mark.parametrize("code", _KNOWN)
def test_a_return_code_is_told_as_the_functions_treat_it(code: str, explain: Run) -> None:
    known, shown = look_up(code), explain(code)

    assert " ".join(table()[f"code-{code}"]["en"].split(" → ")[0].split()) in shown.words
    assert ("attempt given back" in shown.words) == (known.ending is Ending.GIVEN_BACK)
    assert ("billed yes" in shown.words) == (known.problem is None)
    assert ("you, the operator" in shown.words) == (known.who is Who.OPERATOR)
    assert f"{code} {known.description}" in explain(code, "--lang", "zh").words
    if known.problem is None:
        assert f"200 verified={str(code == '000').lower()} resultCode={code}" in shown.words
    else:
        told = f"code={known.problem.code} action={known.problem.action} resultCode={code}"
        assert f"{known.problem.status.value} {told}" in shown.words
        assert f"{code}" in explain(known.problem.code).words  # the refusal names the codes that lead to it
    assert ("by the SDK's error callback" in shown.words) == (code in {"500", "170001", "111002"})


@pytest.mark.parametrize("problem", Problem)
def test_a_refusal_of_the_api_is_told_as_pages_get_it(problem: Problem, explain: Run) -> None:
    by_code, by_status = explain(problem.code), explain(str(problem.status.value))

    told = f"{problem.status.value} code={problem.code} action={problem.action}"
    assert told in by_code.words
    assert told in by_status.words
    assert f"HTTP status {problem.status.value} of this API" in by_status.words


@pytest.mark.parametrize("code", ["110099", "0", *SIBLINGS])
def test_a_code_that_no_table_has_is_told_as_it_is_treated(code: str, explain: Run) -> None:
    shown = explain(code)

    assert "attempt counts as one without a verdict" in shown.words
    assert "billed perhaps" in shown.words
    assert f"502 code=platform_error action=retry resultCode={code}" in shown.words
    assert ("not this product's own documentation" in shown.words) == (code in SIBLINGS)
    assert ("no table" in shown.words) == (code not in SIBLINGS)


@pytest.mark.parametrize(("code", "near"), [("13018", "130018"), ("presign_reject", "presign_rejected")])
def test_a_mistyped_code_is_told_its_neighbours(code: str, near: str, explain: Run) -> None:
    shown = explain(code)

    assert (f"Did you mean {near}" in shown.words, shown.code) == (True, 0 if code.isdigit() else 2)
