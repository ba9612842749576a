"""Execution environments as Lambda has them: processes that import a handler and answer one event at a time.

They are started on demand up to a maximum, idle ones are used again, further events wait. An environment
whose function times out or dies is thrown away.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

_WORKER: Final = Path(__file__).with_name("worker.py")
INIT_SECONDS: Final = 60.0
"""What a slow machine may need for the imports; Lambda itself allows 10 s."""

INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
"""What a process needs from this machine; the rest of the developer's environment stays outside."""


class FunctionError(Exception):
    """A function did not start, raised, died or timed out; one line that says how."""

    def __init__(self, function: "Function", response: Mapping[str, Any]) -> None:
        error = response.get("errorType")
        text = f"{error}: {response['errorMessage']}" if error else response["errorMessage"]
        super().__init__(f"{function.logical_id}: {' '.join(text.split())}")


class BusyError(Exception):
    """Every environment was busy for as long as the event could wait."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the template has it."""

    logical_id: str
    arn: str
    handler: str
    """`package.module.function`."""
    variables: Mapping[str, str] = field(repr=False)
    """Its environment variables, those that Lambda sets included."""
    roots: tuple[Path, ...]
    """Directories from which it imports."""
    timeout: float
    """Seconds for one event."""

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        return {**asdict(self), "roots": [str(root) for root in self.roots]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{**value, "roots": tuple(map(Path, value["roots"]))})


class Environment(Protocol):
    """One execution environment, starting or started."""

    def wait(self) -> None:
        """Wait until it takes events; where it does not start, end it and raise FunctionError."""

    def invoke(self, event: Any, request_id: str) -> Any:
        """Have one event answered; FunctionError where the handler raised, died or timed out."""

    @property
    def alive(self) -> bool:
        """Whether another event may be sent."""

    def stop(self) -> None:
        """End it at once; it holds nothing that must be saved."""


Runtime = Callable[[Function, Path | None], Environment]
"""Starts an environment of a function; the file is where its output is appended, None for standard error."""


class WorkerEnvironment:
    """One process of this machine's Python with the function imported; an `Environment`."""

    def __init__(self, function: Function, log: Path | None) -> None:
        self._function = function
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn(function, theirs, log)
        self._lines = self._channel.makefile("rb")

    def wait(self) -> None:
        """Wait until the handler is imported."""
        answer = self._exchange(b"", INIT_SECONDS)
        if answer is None:
            answer = {"errorMessage": f"the import took longer than {INIT_SECONDS:g} s"}
        if answer != {"ready": True}:
            self.stop()
            raise FunctionError(self._function, answer)

    def invoke(self, event: Any, request_id: str) -> Any:
        """Have one event answered."""
        function = self._function
        message = {"event": event, "requestId": request_id, "functionArn": function.arn}
        message["timeout"] = function.timeout
        answer = self._exchange(json.dumps(message).encode() + b"\n", function.timeout)
        if answer is None:
            answer = {"errorMessage": f"{request_id} Task timed out after {function.timeout:.2f} seconds"}
        if "response" not in answer:
            raise FunctionError(function, answer)
        return answer["response"]

    @property
    def alive(self) -> bool:
        """Whether another event may be sent."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process at once; it holds nothing that must be saved."""
        self._process.kill()
        self._process.wait()
        self._lines.close()
        self._channel.close()

    def _exchange(self, line: bytes, seconds: float) -> dict[str, Any] | None:
        """Send a line and read one; None when that takes too long, and the process is then ended."""
        try:
            self._channel.settimeout(seconds)
            if line:  # to a process that has said all and ended, even nothing cannot be sent
                self._channel.sendall(line)
            answer: dict[str, Any] = json.loads(self._lines.readline())
        except TimeoutError:
            self.stop()
            return None
        except (OSError, ValueError):  # the process has ended, or another thread has ended it
            return {"errorType": "Runtime.ExitError", "errorMessage": f"exit status {self._process.wait()}"}
        return answer


class Pool:
    """A function's environments: at most `maximum`, beyond which events wait.

    What the function writes is appended to `log`, or goes to this process's standard error.
    """

    def __init__(
        self, function: Function, maximum: int, log: Path | None, runtime: Runtime = WorkerEnvironment
    ) -> None:
        self.function = function
        self._runtime = runtime
        self._log = log
        self._free = threading.Semaphore(maximum)
        self._idle: list[Environment] = []
        self._all: set[Environment] = set()
        self._closed = False
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start one environment, so that a bad setting is known and the first event is answered soon.

        Raises
        ------
        FunctionError
            The import failed.
        """
        with self._environment(INIT_SECONDS):
            pass

    def invoke(self, event: Any, request_id: str, patience: float = 30.0) -> Any:
        """Have one event answered, by an idle environment, a new one or the next that becomes free.

        Raises
        ------
        FunctionError
            The handler did not start, raised, died or timed out.
        BusyError
            No environment became free within `patience` seconds, or the pool was stopped.
        """
        try:
            with self._environment(patience) as environment:
                return environment.invoke(event, request_id)
        except FunctionError:
            if self._closed:
                raise BusyError(self.function.logical_id) from None
            raise

    def stop(self) -> None:
        """End every environment; events that wait are refused."""
        with self._lock:
            self._closed = True
            environments = list(self._all)
        for environment in environments:
            environment.stop()

    def report(self, error: FunctionError) -> None:
        """Say what failed, in one line where the function's own output goes."""
        with ExitStack() as cleanup:
            out = sys.stderr
            if self._log is not None:
                out = cleanup.enter_context(self._log.open("a", encoding="utf-8"))
            out.write(f"local: {error}\n")

    @contextmanager
    def _environment(self, patience: float) -> Iterator[Environment]:
        if not self._free.acquire(timeout=patience):
            raise BusyError(self.function.logical_id)
        try:
            environment = self._take()
            try:
                yield environment
            finally:
                self._put_back(environment)
        finally:
            self._free.release()

    def _take(self) -> Environment:
        with self._lock:
            if self._closed:
                raise BusyError(self.function.logical_id)
            while self._idle:
                environment = self._idle.pop()  # the one used last: its caches are the freshest
                if environment.alive:
                    return environment
                self._all.discard(environment)
        environment = self._runtime(self.function, self._log)
        with self._lock:
            self._all.add(environment)
            if self._closed:  # meanwhile
                environment.stop()
        try:
            environment.wait()
        except BaseException:
            self._put_back(environment)
            raise
        return environment

    def _put_back(self, environment: Environment) -> None:
        with self._lock:
            if environment.alive and not self._closed:
                self._idle.append(environment)
                return
            self._all.discard(environment)
        environment.stop()


def _spawn(function: Function, channel: socket.socket, log: Path | None) -> subprocess.Popen[bytes]:
    variables = {name: os.environ[name] for name in INHERITED if name in os.environ}
    variables.update(function.variables)
    variables["_HANDLER"] = function.handler
    variables["PYTHONPATH"] = os.pathsep.join(map(str, function.roots))
    # -P: the worker's own directory is no import root; -u: a line is written when it is logged.
    command = [sys.executable, "-P", "-u", str(_WORKER), str(channel.fileno())]
    with ExitStack() as cleanup:
        output = 2 if log is None else cleanup.enter_context(log.open("ab"))
        return subprocess.Popen(  # noqa: S603 - this Python, on a file of ours
            command,
            env=variables,
            cwd=function.roots[0],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(channel.fileno(),),
            process_group=0,  # Ctrl-C is the parent's matter
        )
