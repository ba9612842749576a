"""`explain CODE`: what a return code or a refusal means, who fixes it, and what the page was told.

Meanings and fixes are in `messages.toml` under `code-…`: the platform's codes of `verify.codes` (guide
section 3.2.2 and appendix), this API's of `cmpassport.problems`, and those of sibling products. What a page
is told and what becomes of an attempt is those modules' to say.
"""

import argparse
import re
import unicodedata
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from cmpassport.problems import Problem
from tools.findings import UseError
from tools.messages import Text, meaning_of, table, text
from tools.output import Output, columns, wrapped
from verify.codes import look_up

CODES: Final = tuple(key.removeprefix("code-") for key in table() if key.startswith("code-"))
"""All that have an explanation."""
_UNKNOWN: Final = look_up("").description
_SDK: Final = frozenset({"500", "170001", "111002"})
"""Codes that the page gets from the SDK, before this service is asked anything."""
_RETURN_CODE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_LABELS: Final = ("source", "who", "fix", "attempt", "billed", "codes", "told")
_WIDTH: Final = 16


def run(options: argparse.Namespace, output: Output) -> int:
    """Explain one code, or list all."""
    if options.stack or options.state:
        from tools.examination import find  # noqa: PLC0415 - 0.25 s, which a code alone does without

        output.given = {**output.given, **find(options).shown_secrets()}
    listed = (f"{code:<24}{output.halves(meaning_of(code))[0]}" for code in CODES)
    for line in listed if options.list else explain((options.code or "").strip(), output):
        print(line)
    return 0


def explain(code: str, output: Output) -> Iterator[str]:
    """Explain a return code, a refusal, an HTTP status, or what else is reported."""
    code = _plain(code)
    refusals = [problem for problem in Problem if code in {problem.code, str(problem.status.value)}]
    if _RETURN_CODE.fullmatch(code) and (code in CODES or not refusals):
        yield from _return_code(code, output)
    elif code in CODES and not refusals:  # what the client in a page, or a back end, reports
        yield from _lines(code, output, {})
    elif not refusals:  # it is not repeated: it may be a key
        raise UseError("no-such-code", near=_near(code))
    if refusals and code.isdigit():
        yield output.words(text("http-status", status=code))
    for problem in refusals:
        known = (look_up(each) for each in CODES)
        codes = [each.code for each in known if each.problem is problem and each.description != _UNKNOWN]
        yield from _lines(problem.code, output, {"codes": ", ".join(codes), "told": _told(problem, "")})


def _plain(code: str) -> str:
    """Take a code out of what was copied with it: `resultCode=103111`, wide digits, `Token-Rejected`."""
    code = re.sub(r"[\s-]+", "_", unicodedata.normalize("NFKC", code)).lower()
    number = re.fullmatch(r"[^0-9]*(?<![a-z])([0-9]{3,6})(?![a-z])[^0-9]*", code)
    return number[1] if number else code


def _return_code(code: str, output: Output) -> Iterator[str]:
    known = look_up(code)
    in_table = known.description != _UNKNOWN
    source = "source-guide" if in_table else "source-sibling" if code in CODES else "source-none"
    told = _told(known.problem, code)
    billed = {None: "yes", Problem.PLATFORM_ERROR: "perhaps"}.get(known.problem, "no")
    said = {
        "source": text(source, near="" if re.fullmatch("[0-9]{6}", code) else _near(code)),
        "attempt": text(f"attempt-{known.ending.replace(' ', '-')}" if known.problem else "attempt-spent"),
        "billed": text(f"billed-{billed}"),
        "told": text("told-by-sdk", told=told) if code in _SDK else told,
    }
    if in_table:
        said["who"] = text(f"who-{known.who}")
    yield from _lines(code, output, said, known.description if in_table else "")


def _lines(code: str, output: Output, said: Mapping[str, Text | str], platforms: str = "") -> Iterator[str]:
    """Write a code's meaning with the platform's own words, and below it the fix among what is said."""
    meaning, fix = output.halves(meaning_of(code))
    yield f"{code}  {meaning}" + ("" if platforms in meaning else f" ({platforms})")
    said = {**said, "fix": fix}
    for label in filter(said.get, _LABELS):
        head = output.words(text(f"label-{label}"))
        first = f"  {head}{' ' * max(1, _WIDTH - 2 - columns(head))}"
        yield wrapped(output.words(said[label]), first, " " * _WIDTH)


def _near(code: str) -> Text | str:
    near = get_close_matches(code, CODES, n=3, cutoff=0.7)
    return text("did-you-mean", codes=", ".join(near)) if near else ""


def _told(problem: Problem | None, result_code: str) -> str:
    if problem is None:
        return f"200  verified={str(result_code == '000').lower()}  resultCode={result_code}"
    told = f"{problem.status.value}  code={problem.code}  action={problem.action}"
    return f"{told}  resultCode={result_code}" if result_code else told
