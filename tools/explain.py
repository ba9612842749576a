"""`explain CODE`: what a return code or a refusal means, who fixes it, and what the page was told.

Meanings and fixes are in `messages.toml` under `code-…`: the platform's codes of `verify.codes` (guide
section 3.2.2 and appendix), this API's of `cmpassport.problems`, and those of sibling products. What a page
is told and what becomes of an attempt is those modules' to say.
"""

import argparse
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from cmpassport.problems import Problem
from tools.findings import UseError
from tools.messages import Text, table, text
from tools.output import Output, columns, wrapped
from verify.codes import look_up

CODES: Final = tuple(key.removeprefix("code-") for key in table() if key.startswith("code-"))
"""All that have an explanation."""
_UNKNOWN: Final = look_up("").description
_SDK: Final = frozenset({"500", "170001", "111002"})
"""Codes that the page gets from the SDK, before this service is asked anything."""
_BACK_END: Final = frozenset(
    {"unknown_key", "wrong_iss", "wrong_aud", "wrong_nonce", "wrong_type", "wrong_algorithm"}
    | {"expired", "already_used", "malformed", "bad_signature", "keys_unavailable"}
)
"""Why a business's back end refuses a receipt."""
_ALIASES: Final = {"wrong_issuer": "wrong_iss", "wrong_audience": "wrong_aud"}
_RETURN_CODE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_WIDTH: Final = 16


def run(options: argparse.Namespace, output: Output) -> int:
    """Explain one code, or list all."""
    if options.stack or options.state:
        from tools.examination import Examination  # noqa: PLC0415 - half a second, which a code alone can do
        from tools.target import find  # noqa: PLC0415 - without

        output.given = {**output.given, **Examination(find(options), options.clock).shown_secrets()}
    for line in _list_all(output) if options.list else explain((options.code or "").strip(), output):
        print(line)
    return 0


def _list_all(output: Output) -> Iterator[str]:
    for code in CODES:
        yield f"{code:<24}{output.halves(text(f'code-{code}'))[0]}"


def explain(code: str, output: Output) -> Iterator[str]:
    """Write the explanation of a code, a line an item.

    Raises
    ------
    ToolError
        It is neither a return code nor a code of this API.
    """
    code = _ALIASES.get(code, code)
    statuses = [problem for problem in Problem if str(problem.status.value) == code]
    own = [problem for problem in Problem if problem.code == code.lower()]
    if code.lower() in CODES and not own and not code.isdigit():
        yield from _other(code.lower(), output)
        return
    if not _RETURN_CODE.fullmatch(code) and not own:  # it is not repeated: it may be a key
        near = get_close_matches(code.lower(), CODES, n=3, cutoff=0.7)
        raise UseError("no-such-code", near=text("did-you-mean", codes=", ".join(near)) if near else "")
    if not own and (code in CODES or not statuses):
        yield from _return_code(code, output)
    if statuses:
        yield output.words(text("http-status", status=code))
    for problem in (*own, *statuses):
        yield from _refusal(problem, output)


def _return_code(code: str, output: Output) -> Iterator[str]:
    known = look_up(code)
    in_table = known.description != _UNKNOWN
    meaning, fix = output.halves(text(f"code-{code}" if code in CODES else "no-table"))
    platforms = "" if known.description in meaning or not in_table else f" ({known.description})"
    yield f"{code}  {meaning}{platforms}"
    if not in_table and (near := get_close_matches(code, CODES, n=3, cutoff=0.7)) and code not in CODES:
        yield _row("", output.words(text("did-you-mean", codes=", ".join(near))), output)
    source = "source-guide" if in_table else "source-sibling" if code in CODES else "source-none"
    rows: dict[str, Text | str] = {
        "source": text(source),
        **({"who": text(f"who-{known.who}")} if in_table else {}),
        "fix": fix,
        "attempt": text(f"attempt-{known.settlement.replace(' ', '-')}"),
        "billed": text(f"billed-{_billed(known.problem)}"),
        "told": text("told-by-sdk" if code in _SDK else "told", told=_told(known.problem, code)),
    }
    for label, said in rows.items():
        yield _row(label, said if isinstance(said, str) else output.words(said), output)


def _other(code: str, output: Output) -> Iterator[str]:
    """Explain what the client in a page, or a back end, reports."""
    meaning, fix = output.halves(text(f"code-{code}"))
    yield f"{code}  {meaning}"
    source = "source-back-end" if code in _BACK_END else "source-page"
    yield _row("source", output.words(text(source)), output)
    yield _row("fix", fix, output)


def _refusal(problem: Problem, output: Output) -> Iterator[str]:
    meaning, fix = output.halves(text(f"code-{problem.code}"))
    yield f"{problem.code}  {meaning}"
    yield _row("fix", fix, output)
    codes = [
        code for code in CODES if look_up(code).problem is problem and look_up(code).description != _UNKNOWN
    ]
    if codes:
        yield _row("codes", ", ".join(codes), output)
    yield _row("told", _told(problem, ""), output)


def _billed(problem: Problem | None) -> str:
    return "yes" if problem is None else "perhaps" if problem is Problem.PLATFORM_ERROR else "no"


def _told(problem: Problem | None, result_code: str) -> str:
    if problem is None:
        return f"200  verified={str(result_code == '000').lower()}  resultCode={result_code}"
    told = f"{problem.status.value}  code={problem.code}  action={problem.action}"
    return f"{told}  resultCode={result_code}" if result_code else told


def _row(label: str, said: str, output: Output) -> str:
    head = output.words(text(f"label-{label}")) if label else ""
    return wrapped(said, f"  {head}{' ' * max(1, _WIDTH - 2 - columns(head))}", " " * _WIDTH)
