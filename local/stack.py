"""The local stack: AWS, gateway, platform simulator and page, made from template.yaml; a context manager.

Everything listens on loopback. What must be processes are (execution environments, the AWS endpoint), and end
with this one however it ends; the rest are threads.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from socket import socket
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from local import IMPORT_ROOTS, ROOT
from local.attempts import ATTEMPTS_PATH, attempts_control, forget_attempts
from local.aws import ACCOUNT_ID, REGION, AwsCredentials, AwsEndpoint, AwsError
from local.environment import BusyError, Function, FunctionError, Pool, Runtime, WorkerEnvironment
from local.gateway import Api, Gateway
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets, SecretsFileError
from local.pages import BUSINESS_PATH, Addresses, Line, Pages
from local.samples import EXHAUSTED_NUMBER, HANDLER, SIM_NUMBER
from local.server import (
    HOST,
    Application,
    PortInUseError,
    Request,
    Response,
    Server,
    address_of,
    listen,
)
from local.simulator import Algorithm, Customer, Encoding, SignatureForm, Simulator, serve
from local.template import FUNCTION, HTTP_API, Deployment, Pseudo, Template, TemplateError

__all__ = ["EXHAUSTED_NUMBER", "SIM_NUMBER", "Options", "SettingError", "Stack", "StackError"]

VERIFY_PATH: Final = "/NumberAbility/h5/verifyVmMobileApi.htm"
STACK_NAME: Final = "number-verification-local"
VERIFY_FUNCTION: Final = "VerifyFunction"
RECEIPT_KEYS_FUNCTION: Final = "ReceiptKeysFunction"
"""It is there with receipts alone."""

_API_ID: Final = "local00001"
_SEEDED_DAYS: Final = 31
_SEEDED_AT_ONCE: Final = 2


class StackError(Exception):
    """The stack does not start; one line that says why."""

    exit_status = 1


class SettingError(StackError):
    """What the stack was told is wrong, or a port is taken: for whoever started it to mend."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How to start a stack.

    Attributes
    ----------
    api_port, web_port, platform_port, aws_port
        0 for a free one.
    platform_url
        Another platform than the simulator: the address of its verifyVmMobileApi.htm, or its base address.
        A real one needs `secrets`. Without, the customer's own public key stands for the platform's: enough
        for a test's double, which has `keys`, or for one that is not there.
    app_id
        From the open platform.
    secrets
        File with the customer's keys; None for fresh ones.
    receipts
        What stands for the number in signed receipts; None for no receipts, and no business back end.
    parameters
        Values of the template's parameters, beside those that the stack sets.
    environments
        Execution environments of each function at most.
    log
        File to which all output of the functions is appended; None for standard error.
    template
        The template; the product's own by default.
    roots
        Directories from which the functions import.
    warm
        Logical ids of the functions that are started at once; None for all.
    runtime
        Starts the functions' execution environments.
    dynamodb
        Address of another DynamoDB than the AWS endpoint's own; None for that.
    name
        The stack's, from which its resources have theirs; one of its own where that other DynamoDB is shared.
    now
        The clock of the gateway, the simulator and the samples, aware.
    """

    api_port: int = 3000
    web_port: int = 8080
    platform_port: int = 8090
    aws_port: int = 4566
    platform_url: str | None = None
    app_id: str = "000001"
    secrets: Path | None = None
    receipts: ReceiptNumber | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    environments: int = min(8, 2 * (os.cpu_count() or 1))
    log: Path | None = None
    template: Path = ROOT / "template.yaml"
    roots: tuple[Path, ...] = IMPORT_ROOTS
    warm: frozenset[str] | None = None
    runtime: Runtime = WorkerEnvironment
    dynamodb: str | None = None
    name: str = STACK_NAME
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Stack(AbstractContextManager["Stack"]):
    """A running stack.

    Attributes
    ----------
    api, page, platform, aws
        Addresses, without a trailing slash.
    dynamodb
        Where DynamoDB is, the same address as `aws` unless the options name another.
    app_id
        The appId.
    business
        Address of the business back end; None without receipts.
    keys
        The customer's keys.
    receipt_secrets
        The receipts' keys; None without receipts.
    simulator
        The platform; None where another one is behind `platform`.
    functions
        The functions, by logical id.
    table_name
        The attempts table.
    secret_ids
        ARNs, by the environment variable that carries them.

    Raises
    ------
    StackError
        On entering: it does not start.

    Example
    -------
    >>> with Stack(Options(api_port=0, web_port=0, platform_port=0, aws_port=0)) as stack:
    ...     print(stack.api)
    """

    api: str
    page: str
    platform: str
    aws: str
    dynamodb: str
    app_id: str
    business: str | None
    keys: CustomerKeys
    receipt_secrets: ReceiptSecrets | None
    simulator: Simulator | None
    functions: Mapping[str, Pool]

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            try:
                self._start(cleanup)
            except (TemplateError, SecretsFileError) as error:
                raise SettingError(str(error)) from error
            except (AwsError, FunctionError) as error:
                raise StackError(str(error)) from error
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def customer_public_key(self) -> str:
        """The key with which the platform verifies signatures, bare Base64."""
        return self.keys.public_key

    @property
    def variables(self) -> dict[str, dict[str, str]]:
        """Environment variables of each function, by logical id."""
        return {name: dict(pool.function.variables) for name, pool in self.functions.items()}

    @property
    def table_name(self) -> str:
        """The attempts table."""
        return self.variables[VERIFY_FUNCTION]["TABLE_NAME"]

    @property
    def secret_ids(self) -> dict[str, str]:
        """ARNs of the secrets, by the environment variable that carries each."""
        variables = self.variables[VERIFY_FUNCTION]
        return {name: value for name, value in variables.items() if name.endswith("_SECRET_ID")}

    def addresses(self) -> dict[str, str]:
        """Give what `--json` prints; `business` only where there is one."""
        addresses = {
            "api": self.api,
            "page": self.page,
            "platform": self.platform,
            "aws": self.aws,
            "appId": self.app_id,
        }
        return addresses if self.business is None else {**addresses, "business": self.business}

    def _start(self, cleanup: ExitStack) -> None:
        options = self._options
        self.app_id = options.app_id
        ports = {"api": options.api_port, "web": options.web_port, "aws": options.aws_port}
        api, web, aws = (cleanup.enter_context(_listen(name, port)) for name, port in ports.items())
        self.api, self.page, self.aws = map(address_of, (api, web, aws))
        self.keys = CustomerKeys.read(options.secrets) if options.secrets else CustomerKeys.fresh()
        self.receipt_secrets = None if options.receipts is None else ReceiptSecrets.fresh(options.receipts)
        self.business = None if options.receipts is None else self.page + BUSINESS_PATH
        template = Template.read(options.template)
        endpoint = AwsEndpoint(aws, options.dynamodb)
        self.dynamodb = endpoint.dynamodb
        cleanup.callback(endpoint.stop)
        platform_url, platform_key = self._platform(cleanup)
        deployment = self._deploy(template, endpoint, platform_key)
        self.functions = self._functions(cleanup, deployment, platform_url)
        self._warm(cleanup)
        self._serve(cleanup, api, Gateway(Api.read(deployment), self._invoke, options.now))
        self._serve(cleanup, web, self._site(template, endpoint))

    def _platform(self, cleanup: ExitStack) -> tuple[str, str]:
        """Start the simulator unless another platform is named; give its URL to verify at and its key."""
        options, keys = self._options, self.keys
        if options.platform_url is not None:
            self.simulator = None
            url = _platform_url(options.platform_url)
            self.platform = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
            return url, keys.platform_key or keys.public_key
        customer = Customer(
            app_id=options.app_id,
            app_key=keys.app_key,
            public_key=keys.public_key,
            origins=frozenset({self.page}),
            referers=frozenset({f"{self.page}/", f"{self.page}/index.html"}),
        )
        form = _signature_form(options.parameters)
        self.simulator = Simulator(customer, clock=options.now, samples=True, signature_form=form)
        try:
            server = serve(self.simulator, HOST, options.platform_port)
        except OSError as error:
            raise _port_in_use("platform", f"port {options.platform_port} is in use") from error
        cleanup.callback(server.close)
        self.platform = server.url
        return self.platform + VERIFY_PATH, self.simulator.public_key

    def _deploy(self, template: Template, endpoint: AwsEndpoint, platform_key: str) -> Deployment:
        """Make the resources that the template declares, and the secrets that it expects to exist."""
        keys, name = self.keys, self._options.name
        signing = json.dumps({"privateKey": keys.private_key})
        verification = json.dumps({"appKey": keys.app_key, "platformPublicKey": platform_key})
        parameters = {
            "AppId": self.app_id,
            "AllowedOrigins": self.page,
            "SigningSecretArn": endpoint.create_secret(f"{name}-signing", signing),
            "VerificationSecretArn": endpoint.create_secret(f"{name}-verification", verification),
            "AwsEndpointUrl": endpoint.address,
            **self._receipt_parameters(endpoint),
            **self._options.parameters,
        }
        deployment = template.deploy(parameters, Pseudo(REGION, ACCOUNT_ID, name))
        for logical_id in deployment.resources(HTTP_API):
            deployment.created(logical_id, _API_ID, ApiEndpoint=self.api)
        endpoint.create_resources(deployment)
        return deployment

    def _receipt_parameters(self, endpoint: AwsEndpoint) -> dict[str, str]:
        """Store the receipt secret and give the parameters that switch receipts on; none without receipts."""
        receipts = self.receipt_secrets
        if receipts is None:
            return {}
        return {
            "Receipts": "on",
            "ReceiptSecretArn": endpoint.create_secret(f"{self._options.name}-receipts", receipts.text),
            "ReceiptNumber": receipts.number.value,
        }

    def _functions(self, cleanup: ExitStack, deployment: Deployment, platform_url: str) -> Mapping[str, Pool]:
        functions = {}
        options = self._options
        elsewhere = {} if options.dynamodb is None else {"AWS_ENDPOINT_URL_DYNAMODB": options.dynamodb}
        # Whom receipts are from: on AWS that is https and the API's own domain.
        issuer = {} if self.receipt_secrets is None else {"RECEIPT_ISSUER": self.api}
        for logical_id in deployment.resources(FUNCTION):
            function = _function(deployment, logical_id, options.roots)
            if "PLATFORM_URL" in function.variables:
                variables = {**function.variables, **elsewhere, **issuer, "PLATFORM_URL": platform_url}
                function = replace(function, variables=variables)
            functions[logical_id] = Pool(function, options.environments, options.log, options.runtime)
            cleanup.callback(functions[logical_id].stop)
        return functions

    def _warm(self, cleanup: ExitStack) -> None:
        """Start an environment of each function and prepare the samples, all at once."""
        warm = self._options.warm
        tasks = [pool.warm for name, pool in self.functions.items() if warm is None or name in warm]
        if VERIFY_FUNCTION in self.functions:
            tasks.append(self._seed(cleanup))
        in_parallel(tasks)

    def _seed(self, cleanup: ExitStack) -> Callable[[], None]:
        """Prepare what the sample events rely on: the next days at once, the rest while the stack runs."""
        function = self.functions[VERIFY_FUNCTION].function
        seeding = replace(function, handler=HANDLER, roots=(*function.roots, ROOT), timeout=600.0)
        pool = Pool(seeding, 1, self._options.log)
        cleanup.callback(pool.stop)
        start = self._options.now()

        def seed(first: int, days: int) -> None:
            day = start + timedelta(days=first)
            pool.invoke({"from": day.isoformat(), "days": days}, "samples")

        def seed_the_rest() -> None:
            try:
                seed(_SEEDED_AT_ONCE, _SEEDED_DAYS - _SEEDED_AT_ONCE)
            except (FunctionError, BusyError):
                return  # the stack has ended
            pool.stop()

        def begin() -> None:
            seed(0, _SEEDED_AT_ONCE)
            threading.Thread(target=seed_the_rest, daemon=True).start()

        return begin

    def _invoke(self, logical_id: str, event: Any, request_id: str) -> Any:
        pool = self.functions[logical_id]
        try:
            return pool.invoke(event, request_id)
        except FunctionError as error:
            pool.report(error)  # whoever called learns no more than on AWS
            raise

    def _pages(self, template: Template) -> Pages:
        panel = ROOT / "local" / "panel" if self.simulator is not None else None
        lines = template.document.get("Mappings", {}).get("Lines", {})
        on_test_line = "test" in lines and lines["test"]["PlatformUrl"].startswith(f"{self.platform}/")
        line = Line.TEST if on_test_line else Line.PRODUCTION
        business = None if self.receipt_secrets is None else BUSINESS_PATH
        addresses = Addresses(self.api, self.platform, self.page, self.app_id, line, business)
        return Pages(ROOT / "web", panel, addresses)

    def _site(self, template: Template, endpoint: AwsEndpoint) -> Application:
        """Make what the page's origin has: the page, the panel's control, with receipts the back end."""
        pages = self._pages(template)
        others: dict[str, Application] = {}
        if self.simulator is not None and VERIFY_FUNCTION in self.functions:
            forget = partial(forget_attempts, endpoint, self.table_name)
            others[ATTEMPTS_PATH] = attempts_control(self.page, forget, self.simulator.forget_attempts)
        if self.receipt_secrets is not None:
            # Here, not above: a stack without receipts has no use for what checks them.
            from local.business import Business, receipt_check  # noqa: PLC0415

            check = receipt_check(self.api, self.page, self.receipt_secrets.business_key, self._options.now)
            others[BUSINESS_PATH] = Business(self.page, check)

        def answer(request: Request) -> Response:
            for path, application in others.items():
                if request.path == path or request.path.startswith(f"{path}/"):
                    return application(request)
            return pages(request)

        return answer

    def _serve(self, cleanup: ExitStack, listener: socket, application: Application) -> None:
        server = Server(listener, application)
        server.start()
        cleanup.callback(server.stop)


def in_parallel(tasks: list[Callable[[], None]]) -> None:
    """Run tasks at the same time and wait for all of them; the first error is raised again."""
    errors: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    # Daemons: when this thread is interrupted, none of them holds up the end.
    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _listen(name: str, port: int) -> socket:
    try:
        return listen(port)
    except PortInUseError as error:
        raise _port_in_use(name, str(error)) from error


def _port_in_use(name: str, what: str) -> SettingError:
    return SettingError(f"{what}; choose another with --{name}-port, 0 for any that is free")


def _platform_url(given: str) -> str:
    """Take a platform's address with or without the path of verifyVmMobileApi.htm."""
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingError("--platform-url is an address such as https://www.cmpassport.com")
    return parts._replace(path=parts.path if parts.path.strip("/") else VERIFY_PATH).geturl()


def _signature_form(parameters: Mapping[str, str]) -> SignatureForm:
    """Have the simulator expect what the functions are told to sign with."""
    try:
        return SignatureForm(
            Algorithm(parameters.get("SignatureAlgorithm", "MD5withRSA")),
            Encoding(parameters.get("SignatureEncoding", "base64")),
        )
    except ValueError:
        return SignatureForm()  # the template refuses such a value, with its own words


def _function(deployment: Deployment, logical_id: str, roots: tuple[Path, ...]) -> Function:
    """Read a function from the template, with what Lambda adds to its environment."""
    properties = deployment.properties(logical_id)
    place = deployment.pseudo
    name = properties.get("FunctionName", f"{place.stack_name}-{logical_id}")
    written = properties.get("Environment", {}).get("Variables", {})
    variables = {
        "AWS_DEFAULT_REGION": place.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties.require('Runtime')}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": place.region,
        "LAMBDA_TASK_ROOT": str(roots[0]),
        "TZ": ":UTC",
        **AwsCredentials().variables(),
        **{key: str(value) for key, value in written.items()},
    }
    return Function(
        logical_id=logical_id,
        arn=f"arn:{place.partition}:lambda:{place.region}:{place.account_id}:function:{name}",
        handler=properties.require("Handler"),
        variables=variables,
        roots=roots,
        timeout=float(properties.get("Timeout", 3)),
    )
