import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.environment import BusyError, Function, FunctionError, Pool, StartError

HANDLERS = """
import os, sys, threading, time

started = time.monotonic()
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
    pools = []

    def make(maximum: int = 1, timeout: float = 30, handler: str = "handlers.handler") -> Pool:
        names = (
            "FUNCTION_NAME",
            "FUNCTION_VERSION",
            "FUNCTION_MEMORY_SIZE",
            "LOG_GROUP_NAME",
            "LOG_STREAM_NAME",
        )
        variables = {"OWN": "value", **{f"AWS_LAMBDA_{name}": "demo-Echo" for name in names}}
        function = Function("Echo", "arn:function", handler, variables, (root,), timeout)
        pools.append(Pool(function, maximum, log))
        return pools[-1]

    yield make
    for pool in pools:
        pool.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process is there; one that has ended but that nobody has waited for is gone too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


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

    with pytest.raises(FunctionError, match=r"^Echo: ValueError: a wrong value$") as caught:
        pool.invoke({"do": "raise"}, "id")
    assert caught.value.response == {"errorType": "ValueError", "errorMessage": "a wrong value"}
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

    with pytest.raises(StartError, match=said):
        pool.warm()
    with pytest.raises(StartError, match=said):
        pool.invoke({}, "id")
    assert log.read_text() == ""


def test_who_waits_is_refused_after_a_while_and_when_the_pool_stops(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()
    pid = pool.invoke({"do": "count"}, "id")["pid"]

    with ThreadPoolExecutor() as executor:
        waiting = [executor.submit(pool.invoke, {"do": "hang"}, "id") for _ in range(3)]
        with pytest.raises(BusyError):
            pool.invoke({"do": "count"}, "id", patience=0.05)
        pool.stop()

    assert [type(each.exception()) for each in waiting] == [BusyError] * 3
    assert not is_running(pid)
    assert log.read_text() == ""
    with pytest.raises(BusyError):
        pool.invoke({"do": "count"}, "id")


PARENT = """
import sys
from pathlib import Path
from local.environment import Function, Pool

names = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
variables = {f"AWS_LAMBDA_{name}": "x" for name in names}
function = Function("Echo", "arn", "handlers.handler", variables, (Path(sys.argv[1]),), 600)
pool = Pool(function, 1, None)
print(pool.invoke({"do": "count"}, "id")["pid"], flush=True)
pool.invoke({"do": "hang"}, "id")
"""


def test_no_environment_outlives_a_parent_that_was_killed(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(root)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)

        parent.kill()

    wait_for(lambda: not is_running(pid))
