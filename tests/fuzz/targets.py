"""What is fuzzed: three readers of foreign input, each held against a second reading of its rules.

A target takes any bytes and raises AssertionError where the two readings differ, or whatever the reader
should not have raised. The same targets serve the coverage-guided fuzzer and the replay of the corpus.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from presign.grammar import PreSignGrammar, PreSignRejectedError
from verify.message import NotTheProtocolError, read_answer
from verify.submission import normalise

APP_ID: Final = "000001"
MSG_ID: Final = "f5a18050-75da-4e0f-8db1-9c0b155fb5b8"
NOW: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
_GRAMMAR: Final = PreSignGrammar(APP_ID, None)
_DIGITS: Final = frozenset("0123456789")
_BASE_32: Final = _DIGITS | frozenset("ABCDEFGHIJKLMNOPQRSTUV")
_HEX: Final = _DIGITS | frozenset("abcdef")
_CHARACTERS: Final = [*map(chr, range(0x100)), *"ſ\u0301\u0660\u2028\u212a\ud800\uff10\U0001f600"]


def text_of(data: bytes) -> str:
    """Read bytes as text of any kind, half surrogate pairs included."""
    return data.decode("utf-8", "surrogateescape")


def presign(data: bytes) -> None:
    """Accept exactly what a reader without regular expressions accepts."""
    text = text_of(data)
    refusal = None
    try:
        _GRAMMAR.check(text, NOW)
    except PreSignRejectedError as error:
        refusal = str(error)
    assert (refusal is None) == is_presign(text), "two readings of the grammar differ"
    assert refusal is None or len(text) < 8 or text not in refusal, "the refusal quotes the text"


def one_character_away(text: str) -> Iterator[str]:
    """Replace, insert and drop a character at every place."""
    for place in range(len(text) + 1):
        yield text[:place] + text[place + 1 :]
        for character in _CHARACTERS:
            yield text[:place] + character + text[place + 1 :]
            yield text[:place] + character + text[place:]


def is_presign(text: str) -> bool:
    """Read a preSign from its end: version, uuid, timestamp, msgId, appId."""
    if not text.startswith(APP_ID) or text[-3:] not in {"1.0", "1.2"}:
        return False
    rest = text[len(APP_ID) : -3]
    if _all(rest, _BASE_32) and len(rest) == 32 + 17 + 32:
        return _is_moment(rest[32:49])
    rest, uuid = rest[:-36], rest[-36:]
    groups = uuid.split("-")
    if [len(group) for group in groups] != [8, 4, 4, 4, 12] or not all(_all(group, _HEX) for group in groups):
        return False
    rest = rest.removesuffix("cms-")
    return _is_moment(rest[-17:]) and _is_random(rest[:-17])


def _is_random(text: str) -> bool:
    """Read what JavaScript writes of a random number below one: plain, or small ones with an exponent."""
    mantissa, small, exponent = text.partition("e-")
    whole, point, digits = mantissa.partition(".")
    if not small:
        return whole == "0" and 1 <= len(digits) <= 20 and _all(digits, _DIGITS)
    return (
        len(whole) == 1
        and whole in "123456789"
        and exponent in {str(number) for number in range(7, 20)}
        and _all(digits, _DIGITS)
        and (1 <= len(digits) <= 17 if point else not digits)
    )


def _all(text: str, alphabet: frozenset[str]) -> bool:
    return all(character in alphabet for character in text)


def _is_moment(digits: str) -> bool:
    if len(digits) != 17 or not _all(digits, _DIGITS):
        return False
    try:
        datetime.strptime(f"{digits}000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def number(data: bytes) -> None:
    """Return nothing but 11 digits that were all typed, and the same when given again."""
    text = text_of(data)
    found = normalise(text)
    if found is None:
        assert not is_plain_number(text), "a plain number is refused"
        return
    assert is_plain_number(found), "no mainland mobile number"
    assert normalise(found) == found, "not stable"
    typed = [str(int(character)) for character in text if character in "0123456789０１２３４５６７８９"]
    assert "".join(typed[-11:]) == found, "digits that were not typed"
    assert "".join(typed[:-11]) in {"", "86", "0086"}, "digits are dropped"


def is_plain_number(text: str) -> bool:
    """Tell whether a text is what the platform compares."""
    return len(text) == 11 and _all(text, _DIGITS) and text[0] == "1" and text[1] >= "3"


def answer(data: bytes) -> None:
    """Return a short code, and a verdict only of an answer that names the request; or say it is none."""
    try:
        found = read_answer(data, msg_id=MSG_ID, app_id=APP_ID)
    except NotTheProtocolError:
        return
    assert 1 <= len(found.result_code) <= 10
    assert found.result_code.isascii()
    assert found.result_code.isalnum()
    if found.result_code in {"000", "001"}:
        readings = [data.decode(encoding, "replace") for encoding in ("utf-8-sig", "gb18030")]
        assert any(_is_verdict(text, found.result_code) for text in readings), "another request's verdict"


def _is_verdict(text: str, code: str) -> bool:
    try:
        content = json.loads(text, strict=False)
    except ValueError:
        return False
    header = _trimmed(_trimmed(content).get("header"))
    names = header.get("msgId"), str(header.get("appId")), str(header.get("resultCode")).strip()
    return names == (MSG_ID, APP_ID, code)


def _trimmed(value: object) -> Mapping[str, object]:
    members = value if isinstance(value, dict) else {}
    trimmed = {key.strip(): member for key, member in members.items()}
    return trimmed if len(trimmed) == len(members) else {}  # one that is there twice is none


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "presign": presign,
    "number": number,
    "answer": answer,
}
