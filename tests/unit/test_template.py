"""What template.yaml promises operators and pages, read from the file itself."""

import re
from typing import Any, Final

import pytest
import yaml

from local import ROOT
from local.template import Template

TEXT: Final = (ROOT / "template.yaml").read_text()

# Which function reads which settings; both read the common ones.
COMMON: Final = frozenset(
    {
        "APP_ID",
        "ALLOWED_ORIGINS",
        "SIGNING_SECRET_ID",
        "SIGNATURE_ALGORITHM",
        "SIGNATURE_ENCODING",
        "SECRET_MAX_AGE_SECONDS",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_LOG_LEVEL",
        "AWS_ENDPOINT_URL",
    }
)
OF_PRESIGN: Final = frozenset({"PRESIGN_WINDOW_HOURS", "POWERTOOLS_SERVICE_NAME"})
OF_VERIFY: Final = frozenset(
    {
        "PLATFORM_URL",
        "VERIFICATION_SECRET_ID",
        "PEPPER_SECRET_ID",
        "TABLE_NAME",
        "DAILY_ATTEMPT_LIMIT",
        "CLIENT_HOURLY_LIMIT",
        "PLATFORM_CONNECT_TIMEOUT",
        "PLATFORM_READ_TIMEOUT",
        "PLATFORM_DEADLINE",
        "POWERTOOLS_SERVICE_NAME",
    }
)


TEMPLATE: Final = Template.parse(TEXT).document
PARAMETERS: Final = TEMPLATE["Parameters"]
RESOURCES: Final = TEMPLATE["Resources"]


def properties(logical_id: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[logical_id]["Properties"]
    return found


def allows(parameter: str, value: str) -> bool:
    """Match as CloudFormation does, the whole value."""
    return re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value) is not None


def statements(role: str) -> dict[str, dict[str, Any]]:
    """Give a role's statements by their Sid, those with a condition included."""
    (policy,) = properties(role)["Policies"]
    found = {}
    for item in policy["PolicyDocument"]["Statement"]:
        statement = item["Fn::If"][1] if "Fn::If" in item else item
        found[statement["Sid"]] = statement
    return found


# --- Parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.abc.com",
        "http://www.abc.com",
        "https://abc.com:8443",
        "https://a-b.example.com.cn",
        "https://xn--fiqs8s.cn",
        "http://127.0.0.1:8080",
        "http://localhost:5173",
        "http://localhost",
        "http://www.abc.com:443",  # https's port, so http has to name it
    ],
)
def test_an_origin_as_browsers_send_it_is_taken(origin: str) -> None:
    assert allows("AllowedOrigins", origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.abc.com/",  # the guide: no trailing slash
        "https://www.abc.com/a/mobile.html",
        "https://www.abc.com?x=1",
        "https://www.abc.com#top",
        "*",
        "https://*",
        "https://*.abc.com",
        "HTTPS://www.abc.com",
        "https://WWW.abc.com",
        "https://中国.cn",  # browsers send punycode
        "www.abc.com",
        "//www.abc.com",
        "ftp://www.abc.com",
        "file://",
        "null",
        "",
        "https://",
        "https://www.abc.com.",
        "https://-abc.com",
        "https://www..abc.com",
        "https://www.abc.com:",
        "https://www.abc.com:0443",
        "https://www.abc.com:443",  # browsers leave the scheme's own port out
        "http://www.abc.com:80",
        "https://www.abc.com:123456",
        "https://user@www.abc.com",
        "https://www.abc.com https://m.abc.com",
        " https://www.abc.com",
        "https://www.abc.com\n",
        "https://www.abc.com\\",
    ],
)
def test_what_no_browser_sends_as_origin_is_refused(origin: str) -> None:
    assert not allows("AllowedOrigins", origin)


def test_a_refused_origin_is_explained_with_an_example() -> None:
    reason = PARAMETERS["AllowedOrigins"]["ConstraintDescription"]

    assert "trailing slash" in reason
    assert "https://www.abc.com or" in reason


@pytest.mark.parametrize("parameter", sorted(PARAMETERS))
def test_every_parameter_says_what_it_is_and_what_it_takes(parameter: str) -> None:
    facts = PARAMETERS[parameter]

    assert facts["Description"]
    assert {"AllowedPattern", "AllowedValues", "MinValue"} & facts.keys()
    assert parameter in facts["ConstraintDescription"] or parameter == "AllowedOrigins"


def test_every_parameter_is_in_one_group_and_in_use() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]

    assert sorted(grouped) == sorted(PARAMETERS)
    assert all(re.search(rf"(!Ref |\${{){name}\b|, {name}, ", TEXT) for name in PARAMETERS)


@pytest.mark.parametrize("parameter", [name for name in PARAMETERS if "Default" in PARAMETERS[name]])
def test_every_default_is_allowed(parameter: str) -> None:
    facts = PARAMETERS[parameter]
    default = facts["Default"]

    assert default in facts.get("AllowedValues", [default])
    assert "AllowedPattern" not in facts or allows(parameter, default)
    assert facts.get("MinValue", default) <= default <= facts.get("MaxValue", default)


def test_what_only_the_operator_knows_has_no_default() -> None:
    asked = {name for name, facts in PARAMETERS.items() if "Default" not in facts}

    assert asked == {"AppId", "AllowedOrigins", "SigningSecretArn", "VerificationSecretArn"}


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_a_secret_is_named_by_its_whole_arn(partition: str) -> None:
    arn = f"arn:{partition}:secretsmanager:cn-north-1:123456789012:secret:number-verification/signing"

    assert allows("SigningSecretArn", f"{arn}-a1B2c3")
    assert not allows("SigningSecretArn", f"{arn}-*")
    assert not allows("SigningSecretArn", "number-verification/signing")
    assert allows("VerificationSecretArn", f"{arn}-a1B2c3")


@pytest.mark.parametrize("app_id", ["000340", "300012345678"])
def test_the_app_ids_of_both_lines_are_taken(app_id: str) -> None:
    assert allows("AppId", app_id)


@pytest.mark.parametrize("app_id", ["", "1", "1234567", "00034O", "3000123456789"])
def test_what_is_no_app_id_is_refused(app_id: str) -> None:
    assert not allows("AppId", app_id)


@pytest.mark.parametrize("name", ["off", "2026-11-24", "1.4.0", "v2", "3f2a91c", "r" * 63 + "1"])
def test_snap_start_is_off_or_a_releases_name(name: str) -> None:
    assert allows("SnapStart", name)


@pytest.mark.parametrize(
    "word",
    ["", "Off", "OFF", "false", "no", "None", "0", "on", "true", "1", "-1", "release 2", "r" * 64 + "1"],
)
def test_no_other_word_for_off_or_on_is_taken_for_a_release(word: str) -> None:
    assert not allows("SnapStart", word)


# --- The way in ------------------------------------------------------------------------------------


def test_cors_admits_the_configured_origins_and_no_more() -> None:
    assert properties("NumberVerificationApi")["CorsConfiguration"] == {
        "AllowOrigins": {"Ref": "AllowedOrigins"},
        "AllowMethods": ["POST"],
        "AllowHeaders": ["content-type"],
        "ExposeHeaders": ["retry-after", "apigw-requestid"],
        "MaxAge": 7200,
    }


@pytest.mark.parametrize(
    ("function", "path"), [("PreSignFunction", "/presign"), ("VerifyFunction", "/verify")]
)
def test_each_function_has_one_route(function: str, path: str) -> None:
    (event,) = properties(function)["Events"].values()

    assert event == {
        "Type": "HttpApi",
        "Properties": {"ApiId": {"Ref": "NumberVerificationApi"}, "Method": "POST", "Path": path},
    }


def test_the_apis_definition_has_the_functions_routes_and_no_more() -> None:
    """SAM would add a route that is missing there, but with the function behind it even under SnapStart."""
    events = [
        event["Properties"]
        for function in ("PreSignFunction", "VerifyFunction")
        for event in properties(function)["Events"].values()
    ]

    paths = properties("NumberVerificationApi")["DefinitionBody"]["paths"]
    assert {path: list(methods) for path, methods in paths.items()} == {
        event["Path"]: [event["Method"].lower()] for event in events
    }


def test_the_access_log_names_nobody() -> None:
    line = properties("NumberVerificationApi")["AccessLogSettings"]["Format"]

    assert set(re.findall(r"\$context\.([a-zA-Z.]+)", line)) == {
        "requestId",
        "requestTime",
        "routeKey",
        "status",
        "responseLatency",
        "integrationLatency",
        "error.message",
        "integrationErrorMessage",
    }


# --- The functions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "own"), [("PreSignFunction", OF_PRESIGN), ("VerifyFunction", OF_VERIFY)]
)
def test_each_function_gets_the_settings_that_it_reads(function: str, own: frozenset[str]) -> None:
    assert set(properties(function)["Environment"]["Variables"]) == COMMON | own


@pytest.mark.parametrize(
    ("function", "package"), [("PreSignFunction", "presign"), ("VerifyFunction", "verify")]
)
def test_no_setting_is_read_that_is_not_set_nor_set_that_is_not_read(function: str, package: str) -> None:
    modules = ROOT / "functions" / package / "settings.py", ROOT / "layers/crypto/cmpassport/settings.py"
    read = {name for module in modules for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', module.read_text())}

    of_libraries = {name for name in COMMON | OF_PRESIGN if name.startswith(("POWERTOOLS_", "AWS_"))}
    assert set(properties(function)["Environment"]["Variables"]) - of_libraries == read


def test_each_line_has_the_guides_address() -> None:
    assert TEMPLATE["Mappings"]["Lines"] == {
        "test": {"PlatformUrl": "http://120.197.235.102/NumberAbility/h5/verifyVmMobileApi.htm"},
        "production": {"PlatformUrl": "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm"},
    }
    assert PARAMETERS["Line"]["AllowedValues"] == ["test", "production"]


def test_the_time_outs_fit_into_one_another() -> None:
    api_limit = 30

    assert (
        PARAMETERS["PlatformDeadline"]["MaxValue"] + 5 <= properties("VerifyFunction")["Timeout"] < api_limit
    )
    # Two seconds for each of three dead addresses, directly and by botocore.
    assert 12 < properties("PreSignFunction")["Timeout"] < api_limit


@pytest.mark.parametrize(
    ("role", "group"), [("PreSignRole", "PreSignLogGroup"), ("VerifyRole", "VerifyLogGroup")]
)
def test_every_role_writes_its_own_log_and_traces_only(role: str, group: str) -> None:
    allowed = statements(role)

    assert allowed["WriteItsOwnLog"] == {
        "Sid": "WriteItsOwnLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": f"{group}.Arn"},
    }
    assert allowed["SendTraces"] == {
        "Sid": "SendTraces",
        "Effect": "Allow",
        "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "Resource": "*",
    }
    assert "ManagedPolicyArns" not in properties(role)


def test_presign_reads_the_signing_secret_and_nothing_else() -> None:
    allowed = statements("PreSignRole")

    assert set(allowed) == {"ReadTheSigningSecret", "DecryptTheSecrets", "WriteItsOwnLog", "SendTraces"}
    assert allowed["ReadTheSigningSecret"] == {
        "Sid": "ReadTheSigningSecret",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": {"Ref": "SigningSecretArn"},
    }
    assert decrypts("PreSignRole") == [{"Ref": "SigningSecretArn"}]


def test_verify_reads_its_three_secrets_and_calls_its_table() -> None:
    allowed = statements("VerifyRole")

    assert set(allowed) == {
        "ReadItsSecrets",
        "DecryptTheSecrets",
        "CountAttemptsAndKeepOutcomes",
        "WriteItsOwnLog",
        "SendTraces",
    }
    assert allowed["ReadItsSecrets"] == {
        "Sid": "ReadItsSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": [{"Ref": "SigningSecretArn"}, {"Ref": "VerificationSecretArn"}, {"Ref": "PepperSecret"}],
    }
    assert allowed["CountAttemptsAndKeepOutcomes"] == {
        "Sid": "CountAttemptsAndKeepOutcomes",
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
        "Resource": {"Fn::GetAtt": "AttemptsTable.Arn"},
    }
    assert decrypts("VerifyRole") == [{"Ref": "SigningSecretArn"}, {"Ref": "VerificationSecretArn"}]


def decrypts(role: str) -> Any:
    """Give the secrets that a role may have decrypted with the operator's own key."""
    statement = statements(role)["DecryptTheSecrets"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "SecretsKmsKeyArn"}
    secrets = statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"]
    return secrets if isinstance(secrets, list) else [secrets]


# --- What is kept ----------------------------------------------------------------------------------


def test_the_table_is_on_demand_encrypted_recoverable_and_outlives_the_stack() -> None:
    table = RESOURCES["AttemptsTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "expiration", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
    }


def test_the_pepper_is_made_by_aws_and_outlives_the_stack() -> None:
    pepper = RESOURCES["PepperSecret"]

    assert pepper["DeletionPolicy"] == pepper["UpdateReplacePolicy"] == "Retain"
    assert pepper["Properties"]["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}


# --- Anywhere --------------------------------------------------------------------------------------


def test_no_partition_region_or_account_is_written_down() -> None:
    # Above stand patterns, examples and the platform's own addresses: not where the stack goes.
    placed = TEXT.split("\nConditions:\n", 1)[1]

    assert not re.search(r"arn:aws", placed)
    # As principals, Lambda and API Gateway have the same names everywhere.
    assert "amazonaws.com" not in re.sub(
        r"(Service|Principal): (lambda|apigateway)\.amazonaws\.com", "", placed
    )
    assert not re.search(r"\b(us|eu|ap|cn|sa|ca|me|af|il|mx)(-[a-z]+)+-\d\b", placed)
    assert not re.search(r"\b\d{12}\b", placed)


def test_the_template_reads_as_cloudformation_does() -> None:
    """No aliases and no merges, which CloudFormation does not know."""
    tokens = list(yaml.scan(TEXT))

    assert not [token for token in tokens if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]
    assert "<<:" not in TEXT


@pytest.mark.parametrize(
    "output",
    ["ApiUrl", "PreSignUrl", "VerifyUrl", "PageAppId", "PageOrigins", "PlatformUrl", "AttemptsTableName"],
)
def test_what_a_page_needs_is_an_output(output: str) -> None:
    assert TEMPLATE["Outputs"][output]["Description"]


def test_no_output_has_a_parameters_name() -> None:
    """`sam local` would put the parameter's value in place of the output's name."""
    assert not TEMPLATE["Outputs"].keys() & PARAMETERS.keys()
