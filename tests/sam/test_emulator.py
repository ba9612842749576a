"""Execution environments under Lambda's own runtime: laid out as there, read-only, and failing as there."""

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from benchmarks.emulator import Parts
from local.environment import Function, FunctionError, Pool
from tests.support.echo import HANDLERS, VARIABLES
from tests.support.parts import bundled

FILES: Final = {
    "template.yaml": """
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Echo, Layers: [!Ref Below, !Ref Above]}
  Below: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Below}}
  Above: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Above}}
""",
    "Echo/handlers.py": HANDLERS,
    "Below/python/cut.py": 'LAYER = "below"',
    "Below/python/layered.py": 'LAYER = "below"',
    "Above/python/layered.py": 'LAYER = "above"',
}
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(parts: Parts, tmp_path: Path) -> Iterator[MakePool]:
    """Return what starts environments of a function with two layers, the second over the first."""
    for name, content in FILES.items():
        path = tmp_path / "build" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    runtime = bundled(tmp_path / "build", parts, tmp_path / "layers")
    with ExitStack() as cleanup:

        def make(timeout: float = 30) -> Pool:
            variables = {**VARIABLES, **CREDENTIALS}
            function = Function("Echo", "arn:function", "handlers.handler", variables, (), timeout)
            pool = Pool(function, 1, tmp_path / "functions.log", runtime)
            cleanup.callback(pool.stop)
            return pool

        yield make
    assert not [*(tmp_path / "build").rglob("__pycache__"), *(tmp_path / "layers").rglob("__pycache__")]


def test_an_environment_is_laid_out_as_lambdas(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    pool = make_pool(timeout=20)
    cut, layered = (pool.invoke({"do": "import", "name": name}, "id") for name in ("cut", "layered"))
    seen = pool.invoke({"do": "look"}, "id")

    assert (seen["version"], seen["cwd"], seen["context"][0]) == ([3, 13], "/var/task", "demo-Echo")
    assert (cut[0], layered[1]) == ("/opt/python/cut.py", "above")
    assert 0 < seen["left"] <= 20_000
    assert {"OWN": "value", "LAMBDA_TASK_ROOT": "/var/task", **seen["environ"]} == seen["environ"]
    assert not {"AWS_PROFILE", "HOME", "PYTHONDONTWRITEBYTECODE"} & set(seen["environ"])
    places = ("/var/task", "/opt/python", "/var/runtime", "/var/lang")
    assert all(path.startswith(places) for path in seen["path"])


def test_what_the_bundle_lacks_is_missing_and_nothing_but_a_folder_of_its_own_can_be_written(
    make_pool: MakePool,
) -> None:
    pool = make_pool()

    for name in ("boto3", "pip", "cmpassport"):
        with pytest.raises(FunctionError, match="ModuleNotFoundError"):
            pool.invoke({"do": "import", "name": name}, "id")
    for folder in ("/var/task", "/opt", "/opt/python", "/var/lang", "/var/runtime", "/var", ""):
        assert pool.invoke({"do": "write", "path": f"{folder}/x"}, "id") == errno.EROFS
    temporary = "/tmp/written-by-a-function"  # noqa: S108 - the environment's own
    assert pool.invoke({"do": "write", "path": temporary}, "id") is None
    assert not Path(temporary).exists()


@pytest.mark.parametrize(
    ("fault", "words", "counted"),
    [
        ("raise", r"^Echo: ValueError: a wrong value$", 2),
        ("exit", r"^Echo: Runtime\.ExitError: .*exit status 3$", 1),
        ("hang", r"^Echo: id Task timed out after 1\.00 seconds$", 1),
    ],
)
def test_a_fault_is_a_function_error_and_the_next_event_is_answered(
    make_pool: MakePool, fault: str, words: str, counted: int
) -> None:
    pool = make_pool(timeout=1)

    with pytest.raises(FunctionError, match=words):
        pool.invoke({"do": fault}, "id")

    assert pool.invoke({"do": "look"}, "id")["counted"] == counted
