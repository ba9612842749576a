import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.keys import CustomerKeys
from local.stack import Options, SettingError, Stack, StackError

GREATEST_LIMIT = 1000

HANDLER = """
import json, os

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"event": event, "environ": dict(os.environ)})}
"""

TEMPLATE = """
Parameters:
  AppId: {Type: String, AllowedPattern: "[0-9]{6}", ConstraintDescription: six digits are wanted}
  AllowedOrigins: {Type: CommaDelimitedList}
  SigningSecretArn: {Type: String}
  VerificationSecretArn: {Type: String}
  AwsEndpointUrl: {Type: String}
  Greeting: {Type: String, Default: hello}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: {AllowOrigins: !Ref AllowedOrigins, AllowMethods: [POST]}
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: echo.handler
      Runtime: python3.13
      MemorySize: 512
      Environment:
        Variables:
          GREETING: !Ref Greeting
          AWS_ENDPOINT_URL: !Ref AwsEndpointUrl
          PLATFORM_URL: http://platform.example
          VERIFICATION_SECRET_ID: !Ref VerificationSecretArn
          SIGNING_SECRET_ID: !Ref SigningSecretArn
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: /echo}}
"""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """A stack of one function that says what it got."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "echo.py").write_text(HANDLER)
    return Options(
        api_port=0,
        web_port=0,
        platform_port=0,
        aws_port=0,
        template=tmp_path / "template.yaml",
        roots=(tmp_path / "functions",),
        log=tmp_path / "functions.log",
    )


@pytest.fixture
def secrets_file(tmp_path: Path) -> Callable[[CustomerKeys, str], Path]:
    def write(keys: CustomerKeys, platform_key: str) -> Path:
        file = tmp_path / "secrets.json"
        content = {"privateKey": keys.private_key, "platformPublicKey": platform_key, "appKey": keys.app_key}
        file.write_text(json.dumps(content))
        return file

    return write


def echo(stack: Stack) -> dict[str, Any]:
    request = urllib.request.Request(f"{stack.api}/echo?a=1", data=b"", headers={"Origin": stack.page})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - loopback
        assert response.headers["access-control-allow-origin"] == stack.page
        answer: dict[str, Any] = json.loads(response.read())
    return answer


def secret(stack: Stack, variable: str) -> dict[str, str]:
    client = boto3.client("secretsmanager", region_name="cn-north-1", endpoint_url=stack.aws)
    secret_id = stack.functions["Echo"].function.variables[variable]
    content: dict[str, str] = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return content


def test_a_request_reaches_the_handler_with_the_templates_settings(options: Options) -> None:
    with Stack(replace(options, parameters={"Greeting": "good day"})) as stack:
        got = echo(stack)

    assert got["event"]["queryStringParameters"] == {"a": "1"}
    assert got["environ"]["GREETING"] == "good day"
    assert got["environ"]["AWS_ENDPOINT_URL"] == stack.aws
    assert got["environ"]["AWS_REGION"] == "cn-north-1"
    assert got["environ"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert got["environ"]["PLATFORM_URL"] == f"{stack.platform}/NumberAbility/h5/verifyVmMobileApi.htm"


def test_every_part_answers_on_a_port_of_its_own(options: Options) -> None:
    with Stack(options) as stack:
        addresses = stack.addresses()
        config = urllib.request.urlopen(f"{stack.page}/config.json", timeout=30)  # noqa: S310 - loopback
        with config:
            configured = json.loads(config.read())
        sdk = urllib.request.urlopen(f"{stack.platform}/NumberAbility/jssdk/jssdk.min.js", timeout=30)  # noqa: S310
        with sdk:
            assert b"YDRZ" in sdk.read()

    assert len({addresses[part] for part in ("api", "page", "platform", "aws")}) == 4
    assert configured == {name: addresses[name] for name in ("api", "platform", "page", "appId")}


def test_fresh_keys_are_the_same_on_both_sides(options: Options) -> None:
    with Stack(options) as stack:
        assert stack.simulator is not None
        assert stack.simulator.customer.public_key == stack.customer_public_key
        assert secret(stack, "SIGNING_SECRET_ID") == {"privateKey": stack.keys.private_key}
        assert secret(stack, "VERIFICATION_SECRET_ID") == {
            "appKey": stack.simulator.customer.app_key,
            "platformPublicKey": stack.simulator.public_key,
        }


def test_keys_from_a_file_serve_the_simulator_which_keeps_its_own_pair(
    options: Options, secrets_file: Callable[[CustomerKeys, str], Path]
) -> None:
    own, other = CustomerKeys.fresh(), CustomerKeys.fresh()

    with Stack(replace(options, secrets=secrets_file(own, other.public_key))) as stack:
        assert stack.simulator is not None
        assert stack.simulator.customer.public_key == own.public_key
        assert secret(stack, "SIGNING_SECRET_ID") == {"privateKey": own.private_key}
        assert secret(stack, "VERIFICATION_SECRET_ID") == {
            "appKey": own.app_key,
            "platformPublicKey": stack.simulator.public_key,
        }


@pytest.mark.parametrize(
    ("given", "address", "url"),
    [
        ("http://p.example", "http://p.example", "http://p.example/NumberAbility/h5/verifyVmMobileApi.htm"),
        (
            "http://p.example:81/",
            "http://p.example:81",
            "http://p.example:81/NumberAbility/h5/verifyVmMobileApi.htm",
        ),
        ("https://p.example/own/verify.htm", "https://p.example", "https://p.example/own/verify.htm"),
    ],
)
def test_another_platform_takes_the_simulators_place(
    options: Options,
    secrets_file: Callable[[CustomerKeys, str], Path],
    given: str,
    address: str,
    url: str,
) -> None:
    own, platform = CustomerKeys.fresh(), CustomerKeys.fresh()
    file = secrets_file(own, platform.public_key)

    with Stack(replace(options, platform_url=given, secrets=file)) as stack:
        got = echo(stack)
        page = urllib.request.urlopen(stack.page, timeout=30)  # noqa: S310 - loopback
        with page:
            assert b"/panel/" not in page.read()
        assert secret(stack, "VERIFICATION_SECRET_ID")["platformPublicKey"] == platform.public_key

    assert stack.simulator is None
    assert stack.platform == address
    assert got["environ"]["PLATFORM_URL"] == url


@pytest.mark.parametrize("given", ["p.example", "ftp://p.example", "http://", "http://p.example/?a=b"])
def test_a_platform_url_that_is_no_address_is_refused(
    options: Options, secrets_file: Callable[[CustomerKeys, str], Path], given: str
) -> None:
    keys = CustomerKeys.fresh()
    wanted = replace(options, platform_url=given, secrets=secrets_file(keys, keys.public_key))

    with pytest.raises(SettingError, match="--platform-url"), Stack(wanted):
        pass


def test_a_double_of_the_platform_has_the_customers_own_pair(options: Options) -> None:
    with Stack(replace(options, platform_url="http://p.example")) as stack:
        platform_key = secret(stack, "VERIFICATION_SECRET_ID")["platformPublicKey"]

    assert platform_key == stack.customer_public_key


def test_a_parameter_that_the_template_refuses_ends_the_start(options: Options) -> None:
    with (
        pytest.raises(SettingError, match=r"^parameter AppId: six digits are wanted$"),
        Stack(replace(options, app_id="12")),
    ):
        pass


@pytest.mark.parametrize("port", ["api_port", "web_port", "platform_port", "aws_port"])
def test_a_port_in_use_ends_the_start_and_frees_the_others(options: Options, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        number, free = taken.getsockname()[1], other.getsockname()[1]
        other.close()
        second = {"api_port": "web_port"}.get(port, "api_port")

        with (
            pytest.raises(SettingError, match=rf"^port {number} is in use; choose another with --"),
            Stack(replace(options, **{port: number, second: free})),
        ):
            pass

    socket.create_server(("127.0.0.1", free)).close()


def test_a_function_that_does_not_start_is_said_at_once(options: Options) -> None:
    (options.roots[0] / "echo.py").write_text("raise KeyError('APP_ID')")

    with pytest.raises(StackError, match=r"^Echo: KeyError: 'APP_ID'$"), Stack(options):
        pass


def test_a_function_that_is_not_warmed_fails_when_it_is_asked(options: Options) -> None:
    (options.roots[0] / "echo.py").write_text("raise KeyError('APP_ID')")

    with Stack(replace(options, warm=frozenset())) as stack, pytest.raises(urllib.error.HTTPError) as caught:
        echo(stack)

    with caught.value as response:
        assert response.code == 500
        assert json.loads(response.read()) == {"message": "Internal Server Error"}
        assert response.headers["access-control-allow-origin"] == stack.page
    assert options.log is not None
    assert options.log.read_text() == "local: Echo: KeyError: 'APP_ID'\n"


def test_two_stacks_share_nothing(options: Options) -> None:
    with Stack(options) as one, Stack(options) as two:
        assert secret(one, "SIGNING_SECRET_ID") != secret(two, "SIGNING_SECRET_ID")
        assert not set(one.addresses().values()) & set(two.addresses().values()) - {one.app_id}


def test_nothing_answers_once_the_stack_has_ended(options: Options) -> None:
    with Stack(options) as stack:
        pass

    for part in ("api", "page", "platform", "aws"):
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(stack.addresses()[part], timeout=30)  # noqa: S310 - loopback


def test_the_sample_numbers_attempts_are_used_up_for_a_month() -> None:
    with Stack(Options(api_port=0, web_port=0, platform_port=0, aws_port=0, warm=frozenset())) as stack:
        client = boto3.client("dynamodb", region_name="cn-north-1", endpoint_url=stack.aws)
        deadline = time.monotonic() + 30
        spent, items = 0, []
        # Two days at once, the others while the stack runs.
        while spent < 31:
            assert time.monotonic() < deadline, f"{spent} days only"
            items = client.scan(TableName=stack.table_name)["Items"]
            spent = sum(len(item["attempts"]["SS"]) == GREATEST_LIMIT for item in items)
            assert spent >= 2

        assert len({item["id"]["S"].partition("#")[2] for item in items}) == 31
