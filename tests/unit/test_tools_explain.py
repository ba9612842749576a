"""`explain`: every code, by the very tables that the functions go by."""

import re
from typing import Final

import pytest

from cmpassport.problems import Action, Problem
from tools.__main__ import main
from tools.remedies import OWN, REMEDIES, SEEN_ELSEWHERE, Language
from verify.codes import _KNOWN, Settlement, Who, look_up

HAN: Final = re.compile("[\u4e00-\u9fff]")


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, and give what it wrote, unwrapped."""
    assert main(["explain", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_there_is_a_remedy_for_each_code_that_the_functions_know_and_for_no_other() -> None:
    assert set(REMEDIES) == set(_KNOWN)
    assert set(OWN) == {problem.code for problem in Problem}
    assert not set(SEEN_ELSEWHERE) & set(_KNOWN)


@pytest.mark.parametrize("code", REMEDIES)
def test_a_return_code_is_told_as_the_functions_treat_it(
    code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = look_up(code)

    text = explained(capsys, code)

    assert known.description in text
    assert REMEDIES[code].meaning in text
    assert REMEDIES[code].remedy in text
    assert ("attempt given back" in text) == (known.settlement is Settlement.GIVEN_BACK)
    assert ("billed yes" in text) == (known.problem is None)
    assert ("you, the operator" in text) == (known.who is Who.OPERATOR)
    if known.problem is None:
        assert f"200 verified={str(code == '000').lower()} resultCode={code}" in text
    else:
        told = f"code={known.problem.code} action={known.problem.action} resultCode={code}"
        assert f"{known.problem.status.value} {told}" in text


@pytest.mark.parametrize("problem", Problem)
def test_a_refusal_of_the_api_is_told_as_pages_get_it(
    problem: Problem, capsys: pytest.CaptureFixture[str]
) -> None:
    text = explained(capsys, problem.code)

    assert OWN[problem.code].remedy in text
    assert f"{problem.status.value} code={problem.code} action={problem.action}" in text


def test_a_refusal_names_the_return_codes_that_lead_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "resultCode 120020" in explained(capsys, "token_rejected")
    assert "resultCode 121011" in explained(capsys, "attempts_exhausted")


@pytest.mark.parametrize("code", ["110099", "105112", "121016", "0"])
def test_a_code_that_no_table_has_is_told_as_it_is_treated(
    code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = explained(capsys, code)

    assert "no table" in text
    assert "attempt stays spent" in text
    assert "billed perhaps" in text
    assert f"502 code=platform_error action={Action.RETRY} resultCode={code}" in text


def test_an_http_status_leads_to_the_refusals_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "429")

    assert "HTTP status 429 of this API" in text
    assert OWN["attempts_exhausted"].remedy in text
    assert OWN["too_many_requests"].remedy in text
    assert "no table" not in text


def test_a_code_of_the_sdk_is_told_by_the_sdk(capsys: pytest.CaptureFixture[str]) -> None:
    told = {code for code in REMEDIES if "by the SDK's error callback" in explained(capsys, code)}

    assert told == {code for code, remedy in REMEDIES.items() if remedy.meaning.startswith("(SDK)")}


def test_a_number_that_is_return_code_and_status_is_told_as_both(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "500")

    assert REMEDIES["500"].meaning in text
    assert OWN["internal_error"].remedy in text


def test_a_code_of_another_product_is_told_as_far_as_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert "illegal timestamp" in explained(capsys, "105112")
    assert "no verdict" in explained(capsys, "000000")
    assert "seen in other products" in explained(capsys, "121016")


def test_a_mistyped_return_code_is_told_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 130018" in explained(capsys, "13018")


def test_a_mistyped_refusal_is_wrong_use_and_told_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "presign_reject"]) == 2

    shown = capsys.readouterr()
    assert "Did you mean presign_rejected?" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("code", [*REMEDIES, *OWN, "110099", "105112", "121016"])
def test_an_explanation_in_chinese_has_no_english_sentence(
    code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", code, "--lang", "zh"]) == 0

    lines = capsys.readouterr().out.splitlines()
    codes = re.compile(r"(?:resultCode)?[0-9, ]+|.*(?:code|resultCode)=.*")
    sentences = [line for line in lines if line and not codes.fullmatch(line.strip())]
    english = [line for line in sentences if re.search(r"(?<!`)\b[a-z]+ [a-z]+ [a-z]+ [a-z]+\b", line)]
    assert all(HAN.search(line) for line in sentences)
    assert [line for line in english if "python -m" not in line] == []


def test_each_remedy_is_written_in_both_languages() -> None:
    for remedy in [*REMEDIES.values(), *OWN.values()]:
        assert not HAN.search(remedy.says(Language.ENGLISH).replace("本机号码校验", ""))
        assert HAN.search(remedy.says(Language.CHINESE))


def test_the_list_has_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--list"]) == 0

    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*REMEDIES, *OWN]


def test_a_command_in_a_remedy_is_one_of_the_tools_own() -> None:
    texts = [remedy.says(language) for remedy in [*REMEDIES.values(), *OWN.values()] for language in Language]
    commands = {match for text in texts for match in re.findall(r"`python -m tools ([a-z ]+)", text)}

    for command in commands:
        with pytest.raises(SystemExit, match="0"):
            main([*command.split(), "--help"])


def test_nothing_to_explain_is_wrong_use() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explain"])
