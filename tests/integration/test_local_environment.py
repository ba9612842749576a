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
        case "look":
            print("on stdout")
            print("on stderr", file=sys.stderr)
            return {
                "pid": os.getpid(), "counted": counted,
                "environ": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
                "context": [context.function_name, context.invoked_function_arn, context.aws_request_id],
            }
        case "raise":
            raise ValueError("a wrong value")
        case "exit":
            os._exit(3)
        case "hang":
            threading.Event().wait()
"""


NAMES = ("NAME", "VERSION", "MEMORY_SIZE")
VARIABLES = {"OWN": "value", **{f"AWS_LAMBDA_FUNCTION_{name}": "demo-Echo" for name in NAMES}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return tmp_path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "functions.log"


MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(root: Path, log: Path) -> Iterator[MakePool]:
    with ExitStack() as cleanup:

        def make(maximum: int = 1) -> Pool:
            function = Function("Echo", "arn:function", "handlers.handler", VARIABLES, (root,), 30)
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

    seen = [pool.invoke({"do": "look"}, "request-1") for _ in range(3)]

    assert [each["counted"] for each in seen] == [1, 2, 3]
    assert len({each["pid"] for each in seen}) == 1
    assert (seen[0]["environ"]["OWN"], seen[0]["environ"]["_HANDLER"]) == ("value", "handlers.handler")
    assert not {"AWS_PROFILE", "PYTHONWARNINGS", "HOME"} & set(seen[0]["environ"])
    assert (seen[0]["path"][0], seen[0]["cwd"]) == (str(root), str(root))
    assert not [path for path in seen[0]["path"] if path.endswith("/local")]
    assert seen[0]["context"] == ["demo-Echo", "arn:function", "request-1"]
    assert log.read_text() == "on stdout\non stderr\n" * 3


def test_a_handler_that_raises_lives_on_and_one_that_dies_is_replaced(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()

    with pytest.raises(FunctionError, match=r"^Echo: ValueError: a wrong value$"):
        pool.invoke({"do": "raise"}, "id")
    assert "Traceback" in log.read_text()
    assert pool.invoke({"do": "look"}, "id")["counted"] == 2

    with pytest.raises(FunctionError, match=r"^Echo: Runtime\.ExitError: exit status 3$"):
        pool.invoke({"do": "exit"}, "id")
    assert pool.invoke({"do": "look"}, "id")["counted"] == 1


def test_who_waits_is_refused_after_a_while_and_when_the_pool_stops(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()
    pool.warm()

    with ThreadPoolExecutor() as executor:
        waiting = [executor.submit(pool.invoke, {"do": "hang"}, "id") for _ in range(3)]
        with pytest.raises(BusyError):
            pool.invoke({"do": "look"}, "id", patience=0.05)
        pool.stop()

    assert [type(each.exception()) for each in waiting] == [BusyError] * 3
    assert log.read_text() == ""
