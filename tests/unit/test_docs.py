"""The pages for people: links lead somewhere, and commands can be pasted and followed."""

import json
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import pytest
from botocore import xform_name
from botocore.session import get_session

from local import ROOT
from local.template import TemplateError
from tests.support import parts
from tests.support.templates import APPLICATION, asked, make, read
from tools.commands import parser
from tools.findings import UseError
from tools.messages import Language
from tools.output import Output

PAGES: Final = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "events/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
_FENCE: Final = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK: Final = re.compile(r"(?<!\\)\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_AWS: Final = re.compile(r"\baws ([a-z0-9-]+) ([a-z-]+)(.*)")
_MAKE: Final = re.compile(r"^make ([a-z-]+)")
_VARIABLE: Final = re.compile(r"\$\{?[A-Z_]+(?::\?)?\}?")
OUTPUT: Final = Output(Language.ENGLISH, {})
_TOOLS: Final = "python -m tools"
_TOOLS_OF: Final = ("keys", "doctor", "explain", "plan")
# Of the AWS CLI itself, not of an operation.
_AWS_OPTIONS: Final = {"query", "output", "region", "profile"}


class Command(NamedTuple):
    page: str
    text: str


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return a page without its blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Make the anchors of a page's headings as GitHub does; of equal ones the second ends in -1."""
    seen: dict[str, int] = {}
    made = set()
    for _, title in _HEADING.findall(prose(path)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title.strip().lower())
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        made.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return made


def blocks() -> Iterator[tuple[str, str]]:
    """Return the page and the text of each block of commands."""
    for path in PAGES:
        for language, block in _FENCE.findall(path.read_text(encoding="utf-8")):
            if language == "sh":
                yield name(path), block


def commands() -> Iterator[Command]:
    """Return each command line of the pages: those of blocks, line by line, and those in a text."""
    for page, block in blocks():
        for line in block.replace("\\\n", " ").splitlines():
            yield Command(page, line.strip().removesuffix(" &&"))
    for path in PAGES:
        for span in _SPAN.findall(prose(path)):
            yield Command(name(path), span)


def tool_commands() -> Iterator[Command]:
    """Return what follows `python -m tools`, which a text may leave out; an ellipsis ends what is cut."""
    for page, text in commands():
        _, named, rest = text.rpartition(_TOOLS)
        words = rest.split()
        if words and (named or (words[0] in _TOOLS_OF and len(words) > 1)) and not text.endswith("…"):
            yield Command(page, rest.strip() if named else text)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(path: Path) -> None:
    for match in _LINK.findall(_SPAN.sub("", prose(path))):
        target = match[0] or match[1]
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        other = path if not file else path.parent / unquote(file)
        assert other.exists(), target
        if anchor and other.suffix == ".md":
            assert unquote(anchor) in anchors(other), target


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_every_block_of_commands_is_one_that_a_shell_can_read(shell: str) -> None:
    with parts.required():
        program = parts.command(shell, shell)
    for page, block in blocks():
        read = subprocess.run([program, "-n"], input=block, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), f"{page}: {block}"
        assert not re.search(r"(^|\s)#", block, re.MULTILINE), "zsh takes no comments where one pastes"


def test_a_block_that_is_pasted_deploys_nothing_after_a_build_or_an_import_that_failed() -> None:
    """SAM CLI would deploy sources without packages, or make a new table beside the one that was kept."""
    joined = [block.partition("sam deploy") for _, block in blocks() if "make build" in block]
    assert [before for before, deploys, _ in joined if deploys and not re.search(r"&&\n *\S*$", before)] == []
    assert any(deploys for _, deploys, _ in joined)
    assert [page for page, block in blocks() if "change-set" in block and "sam deploy" in block] == []


@pytest.mark.parametrize(
    "command", sorted(set(tool_commands())), ids=lambda command: f"{command[0]}: {command[1]}"
)
def test_every_command_of_the_tools_can_be_parsed(command: Command) -> None:
    # What a shell puts in for a variable of the page.
    text = _VARIABLE.sub("any/name", command.text.partition(" | ")[0])
    try:
        options = parser(OUTPUT).parse_args(shlex.split(text, comments=True))
    except UseError as error:
        pytest.fail(OUTPUT.words(error.text))
    except SystemExit as end:  # of --help, which argparse answers
        if end.code:
            raise
    else:
        assert options.run


def test_the_tools_are_in_the_pages() -> None:
    assert {command.text.split()[0] for command in tool_commands()} == set(_TOOLS_OF)


def aws_commands() -> dict[str, list[tuple[Command, str, str]]]:
    """Return the commands of the AWS CLI by their service: where it stands, its operation, and the rest."""
    found = defaultdict(list)
    for command in commands():
        for service, operation, rest in _AWS.findall(command.text):
            found[service].append((command, operation, rest))
    return found


@pytest.mark.parametrize("service", sorted(aws_commands()))
def test_every_aws_command_has_an_operation_and_options_that_there_are(service: str) -> None:
    model = get_session().get_service_model(service)  # which raises where there is no such service
    operations = {xform_name(operation, "-"): operation for operation in model.operation_names}
    for command, operation, rest in aws_commands()[service]:
        if operation == "wait":
            waiters = get_session().get_waiter_model(service).waiter_names
            assert rest.split()[0] in {xform_name(each, "-") for each in waiters}, command
            continue
        assert operation in operations, command
        shape = model.operation_model(operations[operation]).input_shape
        members = {xform_name(member, "-") for member in (shape.members if shape else ())}
        outside = re.sub(r"'[^']*'|\"[^\"]*\"", "", rest).partition(")")[0]
        given = {each.removeprefix("no-") for each in re.findall(r"--([a-z-]+)", outside)}
        assert given <= members | _AWS_OPTIONS, command


def test_whoever_is_on_call_may_read_what_the_runbook_reads_and_nothing_else() -> None:
    policy = json.loads((ROOT / "docs" / "on-call-policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    needed = {
        f"{service.replace('-', '')}:{operation.title().replace('-', '')}"
        for service, used in aws_commands().items()
        for command, operation, rest in used
        if "runbook" in command.page
        and operation.startswith(("get-", "list-", "describe-", "filter-"))
        and not rest.endswith("|")  # which goes to a write
    }

    assert len(needed) > 4
    assert needed <= allowed
    only_reads = re.compile(r"\w+:((Get|List|Describe|Filter)\w+|St(art|op)Query)")
    assert [each for each in allowed if not only_reads.fullmatch(each)] == []
    assert "secretsmanager:GetSecretValue" not in allowed


def test_every_parameter_on_a_command_line_is_one_that_the_template_takes() -> None:
    seen = set()
    for page, text in commands():
        overrides = text.partition("--parameter-overrides ")[2] or text.partition(f"{_TOOLS} plan ")[2]
        another = re.search(r"--template-file (\S+)", text)
        template = read(another[1] if another else APPLICATION) if overrides else {}
        answered = {} if another else asked("eu-west-1")
        for parameter, quoted in re.findall(r"([A-Z][a-z][A-Za-z]+)=(\S+)", overrides):
            value = re.sub(r"\$\(.*", "any", quoted).rstrip("'").strip('"')  # two quotation marks are nothing
            try:
                make(template, {**answered, parameter: value}, "eu-west-1")
            except TemplateError as error:
                pytest.fail(f"{page}: {text}: {error}")
            seen.add(parameter)
    assert len(seen) > 10


def test_every_test_that_the_threats_name_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for file, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8") or not test, f"{file}::{test}"


def test_every_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {match[1] for _, text in commands() if (match := _MAKE.match(text))}
    assert used <= targets
    assert "demo" in used
