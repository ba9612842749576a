"""SAM's own gateway, `sam local start-api`, on a free port."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import urllib3

from local import ROOT
from tests.sam.conftest import remove_containers, running, wait_until


@contextmanager
def sams_gateway(
    command: list[str], log: Path, environment: Mapping[str, str], cwd: Path = ROOT
) -> Iterator[str]:
    """Run `sam local start-api` and give its address.

    Parameters
    ----------
    command
        The command line, complete but for the port and the containers.
    log
        File for its output and that of the functions.
    environment
        Its environment variables.
    cwd
        Where it runs.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urllib3.request("GET", address, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return True

    command = [*command, f"--port={port}", "--warm-containers=EAGER"]
    with running(command, log, env=environment, cwd=cwd) as process:
        try:
            wait_until(answers, process, f"sam local start-api ({log})")
            yield address
        finally:
            remove_containers(log)
