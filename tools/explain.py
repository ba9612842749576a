"""`explain CODE`: what a return code or a refusal means, who mends it, and what the page was told."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from cmpassport.problems import Problem
from tools.errors import WRONG_USE, ToolError
from tools.remedies import OWN, REMEDIES, SDK_CODES, SEEN_ELSEWHERE, Language
from tools.text import HelpFormatter, columns, wrapped
from verify.codes import ReturnCode, Settlement, Who, look_up

_EXAMPLES: Final = """
examples:
  python -m tools explain 130018
  python -m tools explain 120020 --lang zh
  python -m tools explain presign_rejected
  python -m tools explain --list
"""

_RETURN_CODE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)

_WHO: Final[Mapping[Language, Mapping[Who, str]]] = {
    Language.ENGLISH: {
        Who.NOBODY: "nobody: it is a verdict",
        Who.USER: "the user",
        Who.PAGE: "the page",
        Who.OPERATOR: "you, the operator",
        Who.PLATFORM: "the platform",
    },
    Language.CHINESE: {
        Who.NOBODY: "无需处理：这是校验结果",
        Who.USER: "用户",
        Who.PAGE: "页面",
        Who.OPERATOR: "您（运营方）",
        Who.PLATFORM: "平台",
    },
}
_ATTEMPT: Final[Mapping[Language, Mapping[Settlement, str]]] = {
    Language.ENGLISH: {
        Settlement.SPENT: "stays spent: the platform judged the number, or may have",
        Settlement.GIVEN_BACK: "given back: the platform cannot have judged the number",
    },
    Language.CHINESE: {
        Settlement.SPENT: "计入次数：平台已经或可能已经校验了号码",
        Settlement.GIVEN_BACK: "退还次数：平台不可能校验了号码",
    },
}
_LONGEST: Final = max(map(len, OWN))
"""Characters of a code; what is longer may be a key, and is not repeated."""
_LABELS: Final = {
    Language.ENGLISH: ("mended by", "remedy", "attempt", "billed", "page told"),
    Language.CHINESE: ("由谁处理", "处理方法", "次数", "计费", "页面收到"),
}
_BILLED: Final = {
    Language.ENGLISH: ("no", "yes: it is a verdict", "perhaps: the platform may count it if it judged"),
    Language.CHINESE: ("否", "是：这是校验结果", "不确定：若平台已校验，可能计费"),
}
_BY_SDK: Final = {
    Language.ENGLISH: "by the SDK's error callback; were it the answer to POST /verify: {}",
    Language.CHINESE: "由 SDK 的 error 回调给出；若出现在 POST /verify 的应答中，则为 {}",
}
_STATUS: Final = {
    Language.ENGLISH: "HTTP status {} of this API, whose `code` says which refusal it is:",
    Language.CHINESE: "本服务的 HTTP 状态码 {}，具体是哪一种拒绝见应答中的 `code`：",
}
_NO_TABLE: Final = {
    Language.ENGLISH: (
        "no table of this product has this code",
        (
            "It is treated as a fault of the platform, never as a verdict. Ask the platform what it means, "
            "with the msgId and taskId from the function's log."
        ),
        "It belongs to another product of the platform's: {}.",
        "It has been seen in other products of the platform's; what it means is documented nowhere known.",
    ),
    Language.CHINESE: (
        "本产品的返回码表中没有这个返回码",
        "按平台故障处理，绝不当作校验结果。请凭函数日志中的 msgId 与 taskId 向平台询问其含义。",
        "它属于平台的其他产品：{}。",
        "它见于平台的其他产品，含义没有公开资料。",
    ),
}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain",
        help="what a return code or a refusal means, and who mends it",
        description="Explain a return code of the platform's or a code of this API's refusals.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("code", nargs="?", metavar="CODE", help="such as 130018 or presign_rejected")
    what.add_argument("--list", action="store_true", help="list all codes")
    parser.add_argument(
        "--lang",
        type=Language,
        choices=tuple(Language),
        default=Language.ENGLISH,
        help="language of the explanation (default: en)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain one code, or list all."""
    language: Language = arguments.lang
    lines = _list(language) if arguments.list else explain(arguments.code.strip(), language)
    print("\n".join(lines))
    return 0


def explain(code: str, language: Language) -> list[str]:
    """Write the explanation of a code, a line an item.

    Raises
    ------
    ToolError
        It is neither a return code nor a code of this API.
    """
    own = next((problem for problem in Problem if problem.code == code.lower()), None)
    if own is not None:
        return list(_own(own, language))
    if _RETURN_CODE.fullmatch(code):
        problems = [problem for problem in Problem if str(problem.status.value) == code]
        lines = [] if problems and code not in REMEDIES else [*_platform(look_up(code), language)]
        return [*lines, *([""] if lines and problems else []), *_status(code, problems, language)]
    near = _near(code)
    raise ToolError(
        "there is no such code" if len(code) > _LONGEST else f"there is no code {code!r}",
        (f"Did you mean {near}? " if near else "") + "`python -m tools explain --list` lists all codes.",
        WRONG_USE,
    )


def _near(code: str) -> str:
    return " or ".join(get_close_matches(code.lower(), [*REMEDIES, *OWN], n=3, cutoff=0.7))


def _platform(code: ReturnCode, language: Language) -> Iterator[str]:
    known = REMEDIES.get(code.code)
    labels = _LABELS[language]
    if known is None:
        yield from _unknown_head(code.code, language)
    else:
        meaning = f"{known.meaning} ({code.description})"
        yield f"{code.code}  {meaning if language is Language.ENGLISH else code.description}"
        yield from _row(labels[0], _WHO[language][code.who])
        yield from _row(labels[1], known.says(language))
    yield from _row(labels[2], _ATTEMPT[language][code.settlement])
    billed = 1 if code.problem is None else 2 if code.problem is Problem.PLATFORM_ERROR else 0
    yield from _row(labels[3], _BILLED[language][billed])
    told = _told(code.problem, code.code)
    yield from _row(labels[4], _BY_SDK[language].format(told) if code.code in SDK_CODES else told)


def _unknown_head(code: str, language: Language) -> Iterator[str]:
    unknown, treated, other, undocumented = _NO_TABLE[language]
    yield f"{code}  {unknown}"
    if code in SEEN_ELSEWHERE:
        meaning = SEEN_ELSEWHERE[code]
        yield from _row("", undocumented if meaning is None else other.format(meaning[language]))
    elif near := _near(code):
        yield from _row("", f"Did you mean {near}?" if language is Language.ENGLISH else f"是否想查 {near}？")
    yield from _row(_LABELS[language][1], treated)


def _status(code: str, problems: Sequence[Problem], language: Language) -> Iterator[str]:
    """Tell what a number means as an HTTP status, which is what a browser's tools show first."""
    if problems:
        yield _STATUS[language].format(code)
    for problem in problems:
        yield ""
        yield from _own(problem, language)


def _own(problem: Problem, language: Language) -> Iterator[str]:
    entry = OWN[problem.code]
    yield f"{problem.code}  {entry.meaning if language is Language.ENGLISH else entry.meaning_zh}"
    labels = _LABELS[language]
    yield from _row(labels[1], entry.says(language))
    if codes := [code for code in REMEDIES if look_up(code).problem is problem]:
        yield from _row("resultCode", ", ".join(codes))
    yield from _row(labels[4], _told(problem, None))


def _told(problem: Problem | None, result_code: str | None) -> str:
    if problem is None:
        verified = str(result_code == "000").lower()
        return f"200  verified={verified}  resultCode={result_code}"
    told = f"{problem.status.value}  code={problem.code}  action={problem.action}"
    return told if result_code is None else f"{told}  resultCode={result_code}"


def _list(language: Language) -> Iterator[str]:
    for code, remedy in REMEDIES.items():
        found = look_up(code)
        meaning = remedy.meaning if language is Language.ENGLISH else found.description
        yield f"{code:<24}{meaning}"
    for code, remedy in OWN.items():
        yield f"{code:<24}{remedy.meaning if language is Language.ENGLISH else remedy.meaning_zh}"


def _row(label: str, text: str) -> Iterator[str]:
    yield wrapped(text, f"  {label}{' ' * max(1, 12 - columns(label))}", " " * 14)
