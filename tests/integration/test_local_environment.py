from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.environment import BusyError, Function, FunctionError, Pool
from tests.support.echo import HANDLERS, VARIABLES


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """Two environments of a function in a folder, beside their log."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    function = Function("Echo", "arn:function", "handlers.handler", VARIABLES, (tmp_path,), 30)
    pool = Pool(function, 2, tmp_path / "functions.log")
    yield pool
    pool.stop()


def test_an_idle_environment_is_used_again_and_sees_nothing_of_the_developers(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONWARNINGS", "error")

    seen = [pool.invoke({"do": "look"}, "request-1") for _ in range(3)]

    assert [each["counted"] for each in seen] == [1, 2, 3]
    assert len({each["pid"] for each in seen}) == 1
    assert (seen[0]["environ"]["OWN"], seen[0]["environ"]["_HANDLER"]) == ("value", "handlers.handler")
    assert not {"AWS_PROFILE", "PYTHONWARNINGS", "HOME"} & set(seen[0]["environ"])
    assert (seen[0]["path"][0], seen[0]["cwd"]) == (str(tmp_path), str(tmp_path))
    assert not [path for path in seen[0]["path"] if path.endswith("/local")]
    assert seen[0]["context"] == ["demo-Echo", "arn:function", "request-1"]
    assert (tmp_path / "functions.log").read_text() == "on stdout\non stderr\n" * 3


def test_a_handler_that_raises_lives_on_and_one_that_dies_is_replaced(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match=r"^Echo: ValueError: a wrong value$"):
        pool.invoke({"do": "raise"}, "id")
    assert "Traceback" in (tmp_path / "functions.log").read_text()
    assert pool.invoke({"do": "look"}, "id")["counted"] == 2

    with pytest.raises(FunctionError, match=r"^Echo: Runtime\.ExitError: exit status 3$"):
        pool.invoke({"do": "exit"}, "id")
    assert pool.invoke({"do": "look"}, "id")["counted"] == 1


def test_who_waits_is_refused_after_a_while_and_when_the_pool_stops(pool: Pool, tmp_path: Path) -> None:
    pool.warm()

    with ThreadPoolExecutor() as executor:
        waiting = [executor.submit(pool.invoke, {"do": "hang"}, "id") for _ in range(3)]
        with pytest.raises(BusyError):
            pool.invoke({"do": "look"}, "id", patience=0.05)
        pool.stop()

    assert [type(each.exception()) for each in waiting] == [BusyError] * 3
    assert (tmp_path / "functions.log").read_text() == ""
