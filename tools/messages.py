"""What the tools say, in English and Chinese: one table, `messages.toml`, with both languages side by side.

A message that tells what to do has it after an arrow: `what is wrong → what to do`. Names in braces are
values; those of `tools.given` complete the commands that are shown.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

ARROW: Final = " → "
_BETWEEN_HAN: Final = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""The blank that a name beside Chinese has, where the name is Chinese too."""


class Language(StrEnum):
    """Language of what an operator reads."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True)
class Text:
    """A message of the table, with the values that stand in it; a value may be a text again."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def say(self, language: Language, given: Mapping[str, str]) -> str:
        """Return the message in a language, its commands completed by what the command line named."""
        values = {
            name: value.say(language, given) if isinstance(value, Text) else value
            for name, value in self.values.items()
        }
        said = table()[self.key][language].format_map(_Known({**given, **values}))
        return _BETWEEN_HAN.sub("", said)


class _Known(dict[str, Any]):
    """Values by name; an option that the command line did not name is left out of a shown command."""

    def __missing__(self, name: str) -> str:
        return ".venv/bin/python -m tools" if name == "tools" else ""


def text(key: str, /, **values: Any) -> Text:
    """Return a message of the table with its values."""
    return Text(key, values)


def meaning_of(code: str) -> Text:
    """Return what is said of a return code, a refusal or what else is reported."""
    return text(f"code-{code}" if f"code-{code}" in table() else "no-table")


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """Return every message by its key, then by language."""
    entries = tomllib.loads(Path(__file__).with_name("messages.toml").read_text(encoding="utf-8"))
    return {key: said for keys, said in entries.items() for key in keys.split()}


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """Return the language that --lang asks for, else that of the terminal."""
    words = " ".join(arguments).replace("--lang=", "--lang ").split()
    asked = [after for word, after in pairwise(words) if word == "--lang"]
    set_to = [environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)]
    return Language.CHINESE if (*asked, *set_to, "")[0].startswith("zh") else Language.ENGLISH
