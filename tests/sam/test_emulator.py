"""Execution environments under Lambda's own runtime: laid out as there, read-only, and failing as there."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.emulator import Bundle, PartMissingError, Parts, find_parts
from local import ROOT
from local.emulator import Bundle, PartMissingError, Parts
from local.environment import Function, FunctionError, Pool

TEMPLATE: Final = """
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Echo, Layers: [!Ref Below, !Ref Above]}
  Below: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Below}}
  Above: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Above}}
"""
HANDLERS: Final = """
import os, sys, threading

counted = 0

def handler(event, context):
    global counted
    counted += 1
    match event["do"]:
        case "count":
            return {"pid": os.getpid(), "counted": counted}
        case "look":
            import cut, layered
            return {
                "environ": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
                "version": sys.version_info[:2],
                "cut": cut.__file__, "layered": layered.__file__, "which": layered.LAYER,
            }
        case "context":
            return {
                "name": context.function_name, "memory": context.memory_limit_in_mb,
                "left": context.get_remaining_time_in_millis(),
            }
        case "import":
            __import__(event["name"])
        case "write":
            try:
                with open(event["path"], "w") as file:
                    file.write("x")
            except OSError as error:
                return error.errno
        case "raise":
            raise ValueError("a wrong value")
        case "exit":
            os._exit(3)
        case "hang":
            threading.Event().wait()
"""
VARIABLES: Final = {
    "OWN": "value",
    "AWS_LAMBDA_FUNCTION_NAME": "demo-Echo",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
}

MakePool = Callable[..., Pool]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A bundle of one function with two layers, the second over the first."""
    files = {
        "template.yaml": TEMPLATE,
        "Echo/handlers.py": HANDLERS,
        "Echo/broken.py": 'raise RuntimeError("APP_ID is not set")',
        "Below/python/cut.py": "",
        "Below/python/layered.py": 'LAYER = "below"',
        "Above/python/layered.py": 'LAYER = "above"',
    }
    for name, content in files.items():
        path = tmp_path / "build" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "build"


def function(handler: str = "handlers.handler", timeout: float = 30) -> Function:
    return Function("Echo", "arn:function", handler, VARIABLES, (), timeout)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "functions.log"


@pytest.fixture
def make_pool(build: Path, parts: Parts, log: Path, tmp_path: Path) -> Iterator[MakePool]:
    pools = []
    bundle = Bundle(build, parts, tmp_path / "layers")

    def make(**options: Any) -> Pool:
        pools.append(Pool(function(**options), 1, log, bundle.start))
        return pools[-1]

    yield make
    for pool in pools:
        pool.stop()


def emulated(ancestor: int) -> set[int]:
    """Give the processes of the environments that a process has started."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return {pid for pid in pids if descends(pid, ancestor) and "awslambdaric" in command_of(pid)}


def command_of(pid: int) -> str:
    with suppress(OSError):  # it may have ended
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def descends(pid: int, ancestor: int) -> bool:
    with suppress(OSError):
        while pid > 1:
            if pid == ancestor:
                return True
            pid = int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])
    return False


def wait_for_end(pids: set[int], seconds: float = 10) -> set[int]:
    """Give those that are still there at the deadline."""
    deadline = time.monotonic() + seconds
    while (left := {pid for pid in pids if command_of(pid)}) and time.monotonic() < deadline:
        time.sleep(0.01)  # between two looks
    return left


def test_an_environment_is_laid_out_as_lambdas(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    seen = make_pool().invoke({"do": "look"}, "id")

    assert seen["version"] == [3, 13]
    assert seen["cwd"] == "/var/task"
    assert (seen["cut"], seen["layered"]) == ("/opt/python/cut.py", "/opt/python/layered.py")
    assert seen["which"] == "above"
    assert seen["environ"]["OWN"] == "value"
    assert seen["environ"]["LAMBDA_TASK_ROOT"] == "/var/task"
    assert seen["environ"]["_HANDLER"] == "handlers.handler"
    assert not {"AWS_PROFILE", "HOME", "PYTHONDONTWRITEBYTECODE"} & set(seen["environ"])
    places = ("/var/task", "/opt/python", "/var/runtime", "/var/lang")
    assert all(path.startswith(places) for path in seen["path"])


def test_what_the_bundle_lacks_is_missing(make_pool: MakePool) -> None:
    for name in ("boto3", "pip", "cmpassport"):
        with pytest.raises(FunctionError, match="ModuleNotFoundError"):
            make_pool().invoke({"do": "import", "name": name}, "id")


@pytest.mark.parametrize(
    "path", ["/var/task/x", "/opt/x", "/opt/python/x", "/var/lang/x", "/var/runtime/x", "/var/x", "/x"]
)
def test_nothing_can_be_written_whoever_this_user_is(make_pool: MakePool, path: str) -> None:
    assert make_pool().invoke({"do": "write", "path": path}, "id") == errno.EROFS


def test_the_context_is_lambdas(make_pool: MakePool) -> None:
    context = make_pool(timeout=20).invoke({"do": "context"}, "id")

    assert 0 < context.pop("left") <= 20_000
    assert context == {"name": "demo-Echo", "memory": "256"}


def test_a_handler_that_raises_is_a_function_error_and_lives_on(make_pool: MakePool, log: Path) -> None:
    pool = make_pool()

    with pytest.raises(FunctionError, match=r"^Echo: ValueError: a wrong value$"):
        pool.invoke({"do": "raise"}, "id")

    assert "Traceback" in log.read_text()
    assert pool.invoke({"do": "count"}, "id")["counted"] == 2


def test_an_environment_that_dies_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()

    with pytest.raises(FunctionError, match=r"^Echo: Runtime\.ExitError: .*exit status 3$"):
        pool.invoke({"do": "exit"}, "id")

    assert pool.invoke({"do": "count"}, "id")["counted"] == 1


def test_a_function_that_times_out_is_killed_and_replaced(make_pool: MakePool) -> None:
    pool = make_pool(timeout=1)

    with pytest.raises(FunctionError, match=r"^Echo: id Task timed out after 1\.00 seconds$"):
        pool.invoke({"do": "hang"}, "id")

    assert pool.invoke({"do": "count"}, "id")["counted"] == 1


def test_an_import_that_fails_is_the_first_events_error(make_pool: MakePool) -> None:
    with pytest.raises(FunctionError, match=r"^Echo: RuntimeError: APP_ID is not set$"):
        make_pool(handler="broken.handler").invoke({}, "id")


def test_no_process_outlives_the_pool(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.invoke({"do": "count"}, "id")
    processes = emulated(os.getpid())

    pool.stop()

    assert processes
    assert not wait_for_end(processes)


PARENT: Final = """
import json, sys
from pathlib import Path
from local import ROOT
from local.emulator import Bundle, find_parts
from tests.sam.test_emulator import function

bundle = Bundle(Path(sys.argv[1]), find_parts(ROOT), Path(sys.argv[2]))
environment = bundle.start(function(), None)
environment.wait()
environment.invoke({"do": "count"}, "id")
print("ready", flush=True)
environment.invoke({"do": "hang"}, "id")
"""


def test_no_process_outlives_a_parent_that_was_killed(build: Path, parts: Parts, tmp_path: Path) -> None:
    del parts  # which are there
    command = [sys.executable, "-c", PARENT, str(build), str(tmp_path / "layers")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        processes = emulated(parent.pid)

        parent.kill()

    assert processes
    assert not wait_for_end(processes)


def test_a_bundle_that_is_not_there_is_said_to_be_missing(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(PartMissingError, match="make build"):
        Bundle(tmp_path, parts, tmp_path)
