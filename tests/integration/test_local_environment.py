import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.environment import BusyError, Function, FunctionError, Pool

HANDLERS = """
import os, sys, threading

counted = 0

def handler(event, context):
    global counted
    counted += 1
    match event["do"]:
        case "count":
            return {"pid": os.getpid(), "counted": counted}
        case "environ":
            return {"environ": dict(os.environ), "path": sys.path, "cwd": os.getcwd()}
        case "context":
            return [context.function_name, context.invoked_function_arn, context.aws_request_id]
        case "print":
            print("on stdout")
            print("on stderr", file=sys.stderr)
        case "raise":
            raise ValueError("a wrong value")
        case "exit":
            os._exit(3)
        case "hang":
            threading.Event().wait()
"""


NAMES = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
VARIABLES = {"OWN": "value", **{f"AWS_LAMBDA_{name}": "demo-Echo" for name in NAMES}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text('raise RuntimeError("APP_ID is not set:\\nsay which")')
    return tmp_path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "functions.log"


MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(root: Path, log: Path) -> Iterator[MakePool]:
    with ExitStack() as cleanup:

        def make(maximum: int = 1, handler: str = "handlers.handler") -> Pool:
            function = Function("Echo", "arn:function", handler, VARIABLES, (root,), 30)
            pool = Pool(function, maximum, log)
            cleanup.callback(pool.stop)
            return pool

        yield make


def test_an_idle_environment_is_used_again_and_sees_nothing_of_the_developers(
    make_pool: MakePool, root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    pool = make_pool(maximum=4)

    answers = [pool.invoke({"do": "count"}, "id") for _ in range(3)]
    seen = pool.invoke({"do": "environ"}, "id")

    assert [answer["counted"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers}) == 1
    assert (seen["environ"]["OWN"], seen["environ"]["_HANDLER"]) == ("value", "handlers.handler")
    assert not {"AWS_PROFILE", "PYTHONWARNINGS", "HOME"} & set(seen["environ"])
    assert (seen["path"][0], seen["cwd"]) == (str(root), str(root))
    assert not [path for path in seen["path"] if path.endswith("/local")]
    assert pool.invoke({"do": "context"}, "request-1") == ["demo-Echo", "arn:function", "request-1"]
    assert pool.invoke({"do": "print"}, "id") is None
    assert log.read_text() == "on stdout\non stderr\n"


def test_a_handler_that_raises_lives_on_and_one_that_dies_is_replaced(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()

    with pytest.raises(FunctionError, match=r"^Echo: ValueError: a wrong value$"):
        pool.invoke({"do": "raise"}, "id")
    assert "Traceback" in log.read_text()
    assert pool.invoke({"do": "count"}, "id")["counted"] == 2

    with pytest.raises(FunctionError, match=r"^Echo: Runtime\.ExitError: exit status 3$"):
        pool.invoke({"do": "exit"}, "id")
    assert pool.invoke({"do": "count"}, "id")["counted"] == 1


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("broken.handler", "^Echo: RuntimeError: APP_ID is not set: say which$"),
        ("handlers.nothing", "AttributeError"),
    ],
)
def test_an_import_that_fails_is_one_line_with_its_message(
    make_pool: MakePool, log: Path, handler: str, said: str
) -> None:
    pool = make_pool(handler=handler)

    with pytest.raises(FunctionError, match=said):
        pool.warm()
    with pytest.raises(FunctionError, match=said):
        pool.invoke({}, "id")
    assert log.read_text() == ""


def test_who_waits_is_refused_after_a_while_and_when_the_pool_stops(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()
    pool.warm()

    with ThreadPoolExecutor() as executor:
        waiting = [executor.submit(pool.invoke, {"do": "hang"}, "id") for _ in range(3)]
        with pytest.raises(BusyError):
            pool.invoke({"do": "count"}, "id", patience=0.05)
        pool.stop()

    assert [type(each.exception()) for each in waiting] == [BusyError] * 3
    assert log.read_text() == ""


PARENT = """
import json, sys
from pathlib import Path
from local.environment import Function, Pool

variables, roots = json.loads(sys.argv[1]), (Path(sys.argv[2]),)
pool = Pool(Function("Echo", "arn", "handlers.handler", variables, roots, 600), 1, None)
pool.warm()
print("ready", flush=True)
pool.invoke({"do": "hang"}, "id")
"""


def test_no_environment_outlives_a_parent_that_was_killed(root: Path) -> None:
    command = [sys.executable, "-c", PARENT, json.dumps(VARIABLES), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert parent.stdout.readline() == "ready\n"

        parent.kill()

        # The environment writes to standard error alone, which is this pipe too: it ends when both have.
        assert parent.stderr.read() == ""
