"""The local stack: AWS, gateway, platform simulator and page, made from template.yaml; a context manager.

Everything listens on loopback. What must be processes are (execution environments, the AWS endpoint), and end
with this one however it ends; the rest are threads.
"""

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import socket
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from werkzeug import Request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from local import IMPORT_ROOTS, ROOT
from local.attempts import ATTEMPTS_PATH, attempts_control, forget_attempts
from local.aws import ACCOUNT_ID, REGION, AwsCredentials, AwsEndpoint, AwsError
from local.business import Business
from local.environment import Function, FunctionError, Pool, Runtime, WorkerEnvironment
from local.gateway import Api, Gateway
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets, SecretsFileError
from local.pages import BUSINESS_PATH, Addresses, Line, Pages
from local.server import PortInUseError, Server, address_of, listen
from local.simulator import Algorithm, Customer, Encoding, SignatureForm, Simulator
from local.template import FUNCTION, HTTP_API, Deployment, Pseudo, Template, TemplateError

SIM_NUMBER: Final = "13999994444"
"""The number that the SIM of the demo has unless the page says otherwise."""

VERIFY_PATH: Final = "/NumberAbility/h5/verifyVmMobileApi.htm"
STACK_NAME: Final = "number-verification-local"
VERIFY_FUNCTION: Final = "VerifyFunction"
RECEIPT_KEYS_FUNCTION: Final = "ReceiptKeysFunction"
"""It is there with receipts alone."""

_API_ID: Final = "local00001"
_ENVIRONMENTS: Final = min(8, 2 * (os.cpu_count() or 1))
"""Execution environments of each function at most."""


class StackError(Exception):
    """The stack does not start; one line that says why."""

    exit_status = 1


class SettingError(StackError):
    """What the stack was told is wrong, or a port is taken: for whoever started it to mend."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How to start a stack; a port 0 is a free one."""

    api_port: int = 0
    web_port: int = 0
    platform_port: int = 0
    aws_port: int = 0
    platform_url: str | None = None
    """Another platform than the simulator: its base address, or that of its verifyVmMobileApi.htm. A real one
    needs `secrets`; without, the customer's own public key stands for the platform's, enough for a double."""
    app_id: str = "000001"
    secrets: Path | None = None
    """File with the customer's keys; None for fresh ones."""
    receipts: ReceiptNumber | None = None
    """What stands for the number in signed receipts; None for no receipts, and no business back end."""
    pages: tuple[str, ...] = ()
    """Addresses of other pages that may use the API and the simulator, such as one that is being written."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the functions, beside those that the template sets."""
    log: Path | None = None
    """File to which all output of the functions is appended; None for standard error."""
    template: Path = ROOT / "template.yaml"
    warm: frozenset[str] | None = None
    """Logical ids of the functions that are started at once; None for all."""
    runtime: Runtime = WorkerEnvironment
    """Starts the functions' execution environments."""
    dynamodb: str | None = None
    """Address of another DynamoDB than the AWS endpoint's own; None for that."""
    name: str = STACK_NAME
    """The stack's, from which its resources have theirs; one of its own where that DynamoDB is shared."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock of the gateway and the simulator, aware."""


class Stack(AbstractContextManager["Stack"]):
    """A running stack; addresses are without a trailing slash.

    Raises
    ------
    StackError
        On entering: it does not start.

    Example
    -------
    >>> with Stack(Options()) as stack:
    ...     print(stack.api)
    """

    api: str
    page: str
    platform: str
    aws: str
    origins: list[str]
    """Of the stack's page, and of the others that the options name."""
    dynamodb: str
    """The same address as `aws` unless the options name another."""
    business: str | None
    """Address of the business back end; None without receipts."""
    app_id: str
    credentials: AwsCredentials
    """What the AWS endpoint is called with: with `secrets` it serves nobody else."""
    keys: CustomerKeys
    receipt_secrets: ReceiptSecrets | None
    """The receipts' keys; None without receipts."""
    simulator: Simulator | None
    """The platform; None where another one is behind `platform`."""
    functions: Mapping[str, Pool]
    """The functions, by logical id."""

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
        """Return what `--json` prints; `business` only where there is one."""
        names = {"api": self.api, "page": self.page, "platform": self.platform, "aws": self.aws}
        addresses = {**names, "appId": self.app_id}
        return addresses if self.business is None else {**addresses, "business": self.business}

    def _start(self, cleanup: ExitStack) -> None:
        options = self._options
        self.app_id = options.app_id
        ports = {"api": options.api_port, "web": options.web_port, "aws": options.aws_port}
        if options.platform_url is None:
            ports["platform"] = options.platform_port
        taken = {name: cleanup.enter_context(_listen(name, port)) for name, port in ports.items()}
        self.api, self.page = address_of(taken["api"]), address_of(taken["web"])
        # First, since it takes longest to start.
        self.credentials = AwsCredentials() if options.secrets is None else AwsCredentials.unguessable()
        endpoint = AwsEndpoint(
            taken["aws"], options.dynamodb, None if options.secrets is None else self.credentials
        )
        cleanup.callback(endpoint.stop)
        self.aws, self.dynamodb = endpoint.address, endpoint.dynamodb
        self.origins = [self.page, *map(_origin, options.pages)]
        self.keys = CustomerKeys.read(options.secrets) if options.secrets else CustomerKeys.fresh()
        self.receipt_secrets = None if options.receipts is None else ReceiptSecrets.fresh(options.receipts)
        self.business = None if options.receipts is None else self.page + BUSINESS_PATH
        template = Template.read(options.template)
        platform_url, platform_key = self._platform(cleanup, taken.get("platform"))
        deployment = self._deploy(template, endpoint, platform_key)
        self.functions = self._functions(cleanup, deployment, platform_url)
        self._warm()
        api = Gateway(Api.read(deployment), self._invoke, options.now)
        cleanup.enter_context(Server(api, taken["api"]))
        cleanup.enter_context(Server(self._site(template, endpoint), taken["web"]))

    def _platform(self, cleanup: ExitStack, listener: socket | None) -> tuple[str, str]:
        """Start the simulator unless another platform is named; returns its URL to verify at and its key."""
        options, keys = self._options, self.keys
        if listener is None:
            self.simulator = None
            url = _platform_url(options.platform_url or "")
            self.platform = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
            return url, keys.platform_key or keys.public_key
        customer = Customer(
            app_id=options.app_id,
            app_key=keys.app_key,
            public_key=keys.public_key,
            origins=frozenset(self.origins),
            referers=frozenset({f"{self.page}/index.html", *_referers(self.origins, options.pages)}),
        )
        form = _signature_form(options.variables)
        self.simulator = Simulator(customer, clock=options.now, signature_form=form)
        self.platform = cleanup.enter_context(Server(self.simulator, listener)).url
        return self.platform + VERIFY_PATH, self.simulator.public_key

    def _deploy(self, template: Template, endpoint: AwsEndpoint, platform_key: str) -> Deployment:
        """Make the resources that the template declares, and the secrets that it expects to exist."""
        keys, name = self.keys, self._options.name
        signing = json.dumps({"privateKey": keys.private_key})
        verification = json.dumps({"appKey": keys.app_key, "platformPublicKey": platform_key})
        parameters = {
            "AppId": self.app_id,
            "Line": "test",  # whose address gives way to the simulator's, or to --platform-url
            "AllowedOrigins": ",".join(self.origins),
            "SigningSecretArn": endpoint.create_secret(f"{name}-signing", signing),
            "VerificationSecretArn": endpoint.create_secret(f"{name}-verification", verification),
        }
        if (receipts := self.receipt_secrets) is not None:
            parameters["ReceiptSecretArn"] = endpoint.create_secret(f"{name}-receipts", receipts.text)
            parameters["ReceiptNumber"] = receipts.number.value
        deployment = template.deploy(parameters, Pseudo(REGION, ACCOUNT_ID, name))
        for logical_id in deployment.resources(HTTP_API):
            deployment.created(logical_id, _API_ID, ApiEndpoint=self.api)
        endpoint.create_resources(deployment)
        return deployment

    def _functions(self, cleanup: ExitStack, deployment: Deployment, platform_url: str) -> Mapping[str, Pool]:
        functions = {}
        options = self._options
        here = {"AWS_ENDPOINT_URL": self.aws, **self.credentials.variables()}
        if options.dynamodb is not None:
            here["AWS_ENDPOINT_URL_DYNAMODB"] = options.dynamodb
        verifying = {"PLATFORM_URL": platform_url}
        if self.receipt_secrets is not None:
            verifying["RECEIPT_ISSUER"] = self.api  # on AWS that is https and the API's own domain
        for logical_id in deployment.resources(FUNCTION):
            function = _function(deployment, logical_id)
            own = {**here, **verifying} if "PLATFORM_URL" in function.variables else here
            function = replace(function, variables={**function.variables, **own, **options.variables})
            functions[logical_id] = Pool(function, _ENVIRONMENTS, options.log, options.runtime)
            cleanup.callback(functions[logical_id].stop)
        return functions

    def _warm(self) -> None:
        """Start an environment of each function, all at once."""
        warm = self._options.warm
        tasks = [pool.warm for name, pool in self.functions.items() if warm is None or name in warm]
        with ThreadPoolExecutor() as executor:
            for started in [executor.submit(task) for task in tasks]:
                started.result()

    def _invoke(self, logical_id: str, event: Any, request_id: str) -> Any:
        pool = self.functions[logical_id]
        try:
            return pool.invoke(event, request_id)
        except FunctionError as error:
            pool.report(error)  # whoever called learns no more than on AWS
            raise

    def _pages(self, template: Template) -> Pages:
        panel = ROOT / "local" / "panel" if self.simulator is not None else None
        test_line: str = template.document["Mappings"]["Lines"]["test"]["PlatformUrl"]
        line = Line.TEST if test_line.startswith(f"{self.platform}/") else Line.PRODUCTION
        business = None if self.receipt_secrets is None else BUSINESS_PATH
        addresses = Addresses(self.api, self.platform, self.app_id, line, business)
        return Pages(ROOT / "web", panel, addresses)

    def _site(self, template: Template, endpoint: AwsEndpoint) -> WSGIApplication:
        """Make what the page's origin has: the page, the panel's control, with receipts the back end."""
        others: dict[str, WSGIApplication] = {}
        if self.simulator is not None:
            forget = partial(forget_attempts, endpoint, self.table_name)
            others[ATTEMPTS_PATH] = attempts_control(self.page, forget, self.simulator.forget_attempts)
        if self.receipt_secrets is not None:
            key = self.receipt_secrets.business_key
            business = Business(self.page, self.api, key, self._options.now)
            others[BUSINESS_PATH] = Request.application(business.answer)
        return DispatcherMiddleware(Request.application(self._pages(template).answer), others)


def _listen(name: str, port: int) -> socket:
    try:
        return listen(port)
    except PortInUseError as error:
        raise SettingError(f"{error}; choose another with --{name}-port, 0 for any that is free") from error


def _platform_url(given: str) -> str:
    """Take a platform's address with or without the path of verifyVmMobileApi.htm."""
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingError("--platform-url is an address such as https://www.cmpassport.com")
    return parts._replace(path=parts.path if parts.path.strip("/") else VERIFY_PATH).geturl()


def _origin(page: str) -> str:
    """Take a page's address, or its origin alone."""
    parts = urlsplit(page)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingError(f"--page is an address such as http://localhost:5173/login, not {page}")
    return f"{parts.scheme}://{parts.netloc}"


def _referers(origins: list[str], pages: tuple[str, ...]) -> list[str]:
    """Report each page's address, and each origin's with a slash: all that some browsers send."""
    addresses = [page.partition("#")[0].partition("?")[0] for page in pages]
    return [*addresses, *(f"{origin}/" for origin in origins)]


def _signature_form(variables: Mapping[str, str]) -> SignatureForm:
    """Have the simulator expect what the functions are told to sign with."""
    try:
        return SignatureForm(
            Algorithm(variables.get("SIGNATURE_ALGORITHM", "MD5withRSA")),
            Encoding(variables.get("SIGNATURE_ENCODING", "base64")),
        )
    except ValueError:
        return SignatureForm()  # the functions refuse such a value, with their own words


def _function(deployment: Deployment, logical_id: str) -> Function:
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
        "LAMBDA_TASK_ROOT": str(IMPORT_ROOTS[0]),
        "TZ": ":UTC",
        **{key: str(value) for key, value in written.items()},
    }
    return Function(
        logical_id=logical_id,
        arn=f"arn:{place.partition}:lambda:{place.region}:{place.account_id}:function:{name}",
        handler=properties.require("Handler"),
        variables=variables,
        roots=IMPORT_ROOTS,
        timeout=float(properties.get("Timeout", 3)),
    )
