"""Execution environments of real parts: AWS's runtime emulator and runtime client run the built bundle.

Each is a process tree with a view of its own of the file system, laid out as Lambda's: the function on
/var/task, its layers merged on /opt, Python on /var/lang, the runtime client on /var/runtime, all of it and
the rest of the machine read-only, and an empty /tmp. What the bundle lacks is missing here, and what it tries
to write it cannot. Linux only: the view is a mount namespace, which `unshare` makes.
"""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3

from local.environment import INHERITED, INIT_SECONDS, Function, FunctionError

_INVOKE_PATH: Final = "/2015-03-31/functions/function/invocations"
_EMULATOR_PORT: Final = 18480
_RUNTIME_PORT: Final = 18481

# Arguments: an empty folder, the task, the layers, Python, the runtime client, the emulator with its own.
# All is put together in that folder first, as what it is made of may itself be under /var, /opt or /tmp.
# Standard input is the parent's life: at its end the emulator ends, then the namespace's first process, and
# with that every other in it.
_ENTER: Final = r"""
set -e
stage=$1 task=$2 opt=$3 lang=$4 runtime=$5 emulator=$6
shift 6
mount -t tmpfs none "$stage"
mkdir -p "$stage/opt" "$stage/var/task" "$stage/var/lang" "$stage/var/runtime" "$stage/var/rapid"
mount --bind "$task" "$stage/var/task"
mount --bind "$opt" "$stage/opt"
mount --bind "$lang" "$stage/var/lang"
mount --bind "$runtime" "$stage/var/runtime"
mount --bind "$(dirname "$emulator")" "$stage/var/rapid"
mount --rbind "$stage/var" /var
mount --rbind "$stage/opt" /opt
# What somebody has installed into this Python is not on Lambda.
for packages in /var/lang/lib/python3.13/site-packages /var/lang/lib/python3/dist-packages; do
  if [ -d "$packages" ]; then mount -t tmpfs none "$packages"; fi
done
mount -t tmpfs none /tmp
for place in /var /var/task /var/lang /var/runtime /var/rapid /opt /; do
  mount -o remount,bind,ro "$place"
done
cd /var/task
exec 3<&0
"/var/rapid/$(basename "$emulator")" "$@" 3<&- </dev/null & emulator=$!
{ read -r _ <&3 || true; kill -KILL $emulator; } &
wait $emulator
"""


class PartMissingError(Exception):
    """A part is not on this machine; one line that says which and what brings it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where on this machine the parts are."""

    emulator: Path
    """The program aws-lambda-rie."""
    python: Path
    """Prefix of a Python 3.13: the folder above its bin and lib."""
    runtime: Path
    """Folder with the package awslambdaric for that Python."""


def find_parts(root: Path) -> Parts:
    """Find the parts that `make test-parts` brings into a checkout.

    Raises
    ------
    PartMissingError
        One is not there, or this machine cannot have it.
    """
    python = os.environ.get("LAMBDA_PYTHON", "python3.13")
    if shutil.which(python) is None:
        raise PartMissingError(f"{python} is missing: Lambda's Python, on PATH or named by LAMBDA_PYTHON")
    if shutil.which("unshare") is None:
        raise PartMissingError("unshare is missing: it is part of util-linux, on Linux")
    if subprocess.run([*_namespace(), "true"], capture_output=True, check=False).returncode:  # noqa: S603 - no input
        raise PartMissingError("a mount namespace is missing: this user may make none; be root, or allow it")
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    emulators = list(root.glob(f".venv-sam/lib/python3*/site-packages/samcli/local/rapid/*-rie-{machine}"))
    if not emulators:
        raise PartMissingError("the runtime emulator is missing: make test-parts brings it")
    runtime = root / ".venv-runtime"
    if not (runtime / "awslambdaric").is_dir():
        raise PartMissingError("the runtime client is missing: make test-parts brings it")
    script = "import sys; print(sys.base_prefix)"
    prefix = subprocess.run([python, "-c", script], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - the Python that the user named
    return Parts(emulators[0], Path(prefix.stdout.strip()), runtime)


class EmulatedEnvironment:
    """One environment under the emulator; to `local.environment.Pool` like any other.

    The emulator imports the handler at the first event, so that a failing import is that event's.

    Parameters
    ----------
    function
        Whose it is.
    log
        File to which its output is appended; None for this process's standard error.
    parts
        What runs it.
    task, opt
        Folders with its code and its merged layers.
    stage
        An empty folder, which stays empty.
    """

    def __init__(
        self, function: Function, log: Path | None, parts: Parts, task: Path, opt: Path, stage: Path
    ) -> None:
        self._function = function
        # An address of its own on loopback, all of 127/8 being that on Linux: no port need be found free.
        self._host = "127.{}.{}.{}".format(*(random.randint(1, 254) for _ in range(3)))  # noqa: S311 - no secret
        self._waits = INIT_SECONDS
        self._process = self._spawn(parts, log, (stage, task, opt, parts.python, parts.runtime))

    def wait(self) -> None:
        """Wait until the emulator listens.

        Raises
        ------
        FunctionError
            It has ended, or does not listen in time.
        """
        deadline = time.monotonic() + INIT_SECONDS
        with socket.socket() as looking:
            while looking.connect_ex((self._host, _EMULATOR_PORT)):
                if not self.alive or time.monotonic() > deadline:
                    raise self._ended({"errorMessage": "the runtime emulator does not start"})
                time.sleep(0.01)  # between two looks

    def invoke(self, event: Any, request_id: str) -> Any:
        """Have one event answered; the emulator gives the context a request id of its own.

        Raises
        ------
        FunctionError
            The handler did not start, raised, died or timed out.
        """
        # The emulator keeps the function's own time; the first event has the import before it.
        seconds, self._waits = self._function.timeout + self._waits + 5, 0.0
        address = f"http://{self._host}:{_EMULATOR_PORT}{_INVOKE_PATH}"
        try:
            response = urllib3.request("POST", address, json=event, timeout=seconds, retries=False)
        except urllib3.exceptions.HTTPError:
            error = {"errorType": "Runtime.ExitError", "errorMessage": "the runtime emulator has ended"}
            raise self._ended(error) from None
        try:
            answer = response.json()
        except ValueError:  # the emulator's own words: the function timed out
            raise self._ended({"errorMessage": f"{request_id} {response.data.decode()}"}) from None
        if response.status != 200:  # noqa: PLR2004 - the function died or did not start
            raise self._ended(answer)
        if isinstance(answer, dict) and {"errorType", "errorMessage"} <= answer.keys():
            raise FunctionError(self._function, answer)
        return answer

    @property
    def alive(self) -> bool:
        """Whether another event may be sent."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End all its processes at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _ended(self, error: Mapping[str, Any]) -> FunctionError:
        self.stop()
        return FunctionError(self._function, error)

    def _spawn(self, parts: Parts, log: Path | None, places: tuple[Path, ...]) -> "subprocess.Popen[bytes]":
        enter = ["sh", "-c", _ENTER, "enter", *map(str, places)]
        emulator = [
            str(parts.emulator),
            "--log-level=error",
            f"--runtime-interface-emulator-address={self._host}:{_EMULATOR_PORT}",
            f"--runtime-api-address={self._host}:{_RUNTIME_PORT}",
            "/var/lang/bin/python3.13",
            "-m",
            "awslambdaric",
            self._function.handler,
        ]
        with ExitStack() as cleanup:
            output = 2 if log is None else cleanup.enter_context(log.open("ab"))
            return subprocess.Popen(  # noqa: S603 - the parts that the caller named
                [*_namespace(), *enter, *emulator],
                env=self._variables(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C is the parent's matter
            )

    def _variables(self) -> dict[str, str]:
        """Return what Lambda's image and the emulator want in the environment, beside the function's own."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {
            **inherited,
            **self._function.variables,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(self._function.timeout)),
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LD_LIBRARY_PATH": "/var/lang/lib",
            "PYTHONPATH": "/var/task:/opt/python/lib/python3.13/site-packages:/opt/python:/var/runtime",
            "TMPDIR": "/tmp",  # noqa: S108 - the environment's own
        }


def _namespace() -> list[str]:
    """Return the command that runs another with mounts and processes of its own; it ends with this one."""
    command = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    return command if os.geteuid() == 0 else [*command, "--user", "--map-root-user"]
