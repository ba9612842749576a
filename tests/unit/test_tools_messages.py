"""The table of messages: both languages alike, whole commands, nothing missing and nothing left over."""

import re
from pathlib import Path
from string import Formatter
from typing import Any, Final

import pytest

import tools
from tools.given import SecretKind, given
from tools.messages import ARROW, Language, language_of, table, text
from tools.output import columns, wrapped

SOURCE: Final = "".join(path.read_text() for path in Path(tools.__file__).parent.rglob("*.py"))
HAN: Final = re.compile("[\u4e00-\u9fff]")
COMMAND: Final = re.compile(r"`([^`]*)`")
_ALIKE: Final = frozenset(
    {"label-codes", "step-secrets", "explained"} | {"code-170001"}  # whose HTML has a colon
)
"""What is names, signs and values alone."""
_ENDS: Final = {
    r"keys put verification": "{verification}{aws}",
    r"keys put signing|keys rotate|keys new": "{signing}{aws}",
    r"keys receipts": "{receipts}{aws}",
    r"keys check": "{aws}",
    r"doctor(?!\{stack_at\})": "{at}{aws}",
}
"""How a shown command ends, by what it begins with."""


def values_of(message: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(message) if name}


def problems(english: str, chinese: str) -> list[str]:
    """Return what is wrong with a message."""
    found = {
        "other values": values_of(english) != values_of(chinese),
        "a fix in one alone": (ARROW in english) != (ARROW in chinese),
        "other commands": {*COMMAND.findall(english)} != {*COMMAND.findall(chinese)},
        "not Chinese": english == chinese or not HAN.search(chinese),
        "half-width punctuation": re.search(r"[,;:?!] ?[\u4e00-\u9fff]|[\u4e00-\u9fff][,;:?!]", chinese),
    }
    for command in COMMAND.findall(english):
        for begins, ends in _ENDS.items():
            if re.match(rf"\{{tools\}} (?:{begins})", command):
                found[command] = not command.endswith(ends)
        if re.match("aws (?!configure|sso|.*--region)", command):
            found[command] = "{aws}" not in command
    return [what for what, wrong in found.items() if wrong]


def test_each_message_says_the_same_in_both_languages_and_shows_whole_commands() -> None:
    wrong = {key: problems(each["en"], each["zh"]) for key, each in table().items()}

    assert {key: found for key, found in wrong.items() if found and key not in _ALIKE} == {}


def test_no_message_is_left_over_and_none_is_missing() -> None:
    named = {*re.findall(r"""["']([A-Za-z0-9_-]+)["']""", SOURCE)}
    prefixes = re.findall(r'f"([a-z-]+-)\{', SOURCE)
    said = re.findall(r"""(?:text|Error|show|tell|ask\w*|is_confirmed)\(["']([a-z-]+)["'][,)]""", SOURCE)

    parts = (*prefixes, "again-", "public-for-", "private-for-")
    assert [key for key in table() if key not in named and not key.startswith(parts)] == []
    assert {*said} <= {*table()}


NAMED: Final = {"secret": "a b", "stack": "shop", "profile": "two words", "region": "r"}


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("SIGNING", {}, ""),
        ("SIGNING", {"secret": SecretKind.SIGNING.value}, ""),
        ("VERIFICATION", {"secret": "shop/v"}, ""),
        ("VERIFICATION", {"secret": "shop/verification"}, " --secret shop/signing"),
        ("SIGNING", NAMED, " --stack shop --secret 'a b' --profile 'two words' --region r"),
    ],
)
def test_a_shown_command_repeats_what_was_named(kind: str, options: dict[str, object], shown: str) -> None:
    said = text("ask-replace", secret="x").say(Language.ENGLISH, given({"kind": SecretKind[kind], **options}))

    assert f"`.venv/bin/python -m tools keys rotate{shown}`" in said


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        (["--lang=zh"], {}, "zh"),
        (["doctor", "--lang"], {}, "en"),
    ],
)
def test_the_language_is_as_asked_or_the_terminals(arguments: Any, environment: Any, language: str) -> None:
    assert language_of(arguments, environment) == language


def test_a_chinese_name_has_no_blank_before_chinese() -> None:
    for name, said in ((text("what-you-gave"), "您输入的内容的 appKey"), ("shop", "shop 的 appKey")):
        assert text("field-of", field="appKey", secret=name).say(Language.CHINESE, {}) == said


def test_a_command_in_a_text_is_not_broken_over_lines() -> None:
    command = "`python -m tools keys rotate --step switch --secret shop/signing --region cn-north-1`"

    lines = wrapped(f"{'word ' * 15}and then at once {command} and more.", "ok  ").splitlines()

    assert any(command in line for line in lines)
    assert max(map(columns, lines)) <= 100
    assert all(line.startswith("    ") for line in lines[1:])
