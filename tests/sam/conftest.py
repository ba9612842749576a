"""The built bundle, a container engine, and SAM CLI on a local stack: what `make test-parts` runs on."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import urllib3

from benchmarks.emulator import Parts, find_parts
from local import ROOT
from local.relay import bridge_address, relay
from local.stack import Options, Stack
from tests.support.parts import required
from tests.support.planted import leaks
from tests.support.stacks import start

HERE: Final = Path(__file__).parent
SAM: Final = ROOT / ".venv-sam" / "bin" / "sam"
BUILD: Final = ROOT / ".aws-sam" / "build"
ARCHITECTURE: Final = os.environ.get("ARCHITECTURE") or "x86_64"
"""What the bundle was built for, as `make build` takes it."""

CONTAINERS_NAME_FOR_THIS_MACHINE: Final = "host.docker.internal"

START_SECONDS: Final = 120.0
"""What a busy machine may need to start an engine, or SAM's gateway with its containers."""


def wait_until(answers: Callable[[], bool], process: "subprocess.Popen[bytes]", what: str) -> None:
    """Poll until something answers; fail at once if its process ends, or at the deadline."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        assert process.poll() is None, f"{what} ended with status {process.returncode}"
        assert time.monotonic() < deadline, f"{what} does not answer"
        time.sleep(0.2)  # between two looks


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process whose output goes to a file; ask it to end on the way out, and see that it does."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The folder that `sam build` filled."""
    assert (BUILD / "template.yaml").exists(), "there is no bundle; `make build` makes it"
    return BUILD


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Lambda's runtime on this machine."""
    with required():
        return find_parts(ROOT)


@pytest.fixture(scope="session")
def python313() -> str:
    """Lambda's Python, as the layers' makefiles find it."""
    python = os.environ.get("LAMBDA_PYTHON", "python3.13")
    assert shutil.which(python), "python3.13 is not on PATH"
    return python


def engine_answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A container engine: the machine's own where it runs, else one for these tests."""
    if engine_answers():
        yield
        return
    assert shutil.which("dockerd"), "no Docker engine answers, and there is no dockerd to start"
    assert os.geteuid() == 0, "no Docker engine answers, and only root can start one"
    log = tmp_path_factory.mktemp("engine") / "dockerd.log"
    # Containers talk to this machine alone, so that no packet filter is needed, which a sandbox may not have.
    command = ["dockerd", "--data-root", str(ROOT / ".local" / "engine"), "--iptables=false"]
    with running(command, log) as process:
        wait_until(engine_answers, process, "dockerd")
        yield


@pytest.fixture(scope="session")
def image(engine: None, python313: str) -> str:  # noqa: ARG001 - must be there first
    """The image to run functions in."""
    run = subprocess.run(
        [HERE / "base-image"],
        env={**os.environ, "LAMBDA_PYTHON": python313},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout.strip()


@pytest.fixture(scope="session")
def stack(engine: None) -> Iterator[Stack]:  # noqa: ARG001 - its bridge must be there
    """A local stack that containers reach; its own execution environments are not started."""
    with start(Options(warm=frozenset())) as stack:
        address = bridge_address()
        ports = [urlsplit(url).port or 0 for url in (stack.aws, stack.platform)]
        with relay(address, ports) if address else nullcontext():
            yield stack


def in_containers(value: str) -> str:
    """Write an address of this machine's loopback as containers find it."""
    return value.replace("//127.0.0.1:", f"//{CONTAINERS_NAME_FOR_THIS_MACHINE}:")


def as_in_containers(variables: Mapping[str, str]) -> dict[str, str]:
    """Write a function's variables for a container; origins are the browser's and stay."""
    return {
        name: value if name == "ALLOWED_ORIGINS" else in_containers(value)
        for name, value in variables.items()
    }


@pytest.fixture(scope="session")
def sam_command(bundle: Path, image: str, stack: Stack) -> Callable[..., list[str]]:
    """Give the command line of a `sam local` subcommand for some environment variables."""
    endpoint = in_containers(stack.aws)
    parameters = f"Architecture={ARCHITECTURE} AllowedOrigins={stack.page} AwsEndpointUrl={endpoint}"
    common = [
        f"--template-file={bundle / 'template.yaml'}",
        f"--config-file={ROOT / 'samconfig.toml'}",
        f"--invoke-image={image}",
        "--skip-pull-image",
    ]

    def command(subcommand: str, variables: Path, *arguments: str, more: str = "") -> list[str]:
        given = [f"--parameter-overrides={parameters} {more}".rstrip(), f"--env-vars={variables}"]
        return [str(SAM), "local", subcommand, *common, *given, *arguments]

    return command


@pytest.fixture(scope="session")
def sam_environment() -> Mapping[str, str]:
    """Variables for the SAM CLI: it phones nobody, and looks for nobody's account."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.fixture(scope="session")
def api(
    stack: Stack,
    sam_command: Callable[..., list[str]],
    sam_environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The bundle behind SAM's own gateway, every function in a container; its address."""
    folder = tmp_path_factory.mktemp("sam")
    variables = folder / "env.json"
    variables.write_text(
        json.dumps({name: as_in_containers(stack.variables[name]) for name in stack.variables})
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = sam_command("start-api", variables, f"--port={port}", "--warm-containers=EAGER")
    log = folder / "start-api.log"
    with running(command, log, env=sam_environment, cwd=ROOT) as process:
        http = urllib3.PoolManager(retries=False)
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                http.request("GET", address)
            except urllib3.exceptions.HTTPError:
                return False
            return True

        try:
            wait_until(answers, process, f"sam local start-api ({log})")
            yield address
        finally:
            remove_containers(log)
    assert not leaks(log.read_text())


def remove_containers(log: Path) -> None:
    """Remove the containers that SAM says it has made: asked to end, it may leave one that is at work."""
    made = re.findall(r"SAM_CONTAINER_ID: ([0-9a-f]{64})", log.read_text())
    subprocess.run(["docker", "rm", "--force", *made], capture_output=True, check=False)
