"""What template.yaml promises operators and pages, read from the file itself."""

import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from local import ROOT
from local.template import Pseudo, Template

TEXT: Final = (ROOT / "template.yaml").read_text()

# Which function reads which settings; all read the shared ones, those that sign read more.
SHARED: Final = frozenset(
    {
        "SECRET_MAX_AGE_SECONDS",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_LOG_LEVEL",
        "POWERTOOLS_SERVICE_NAME",
        "AWS_ENDPOINT_URL",
    }
)
OF_CUSTOMERS: Final = SHARED | {
    "APP_ID",
    "ALLOWED_ORIGINS",
    "SIGNING_SECRET_ID",
    "SIGNATURE_ALGORITHM",
    "SIGNATURE_ENCODING",
}
SETTINGS: Final = {
    "PreSignFunction": OF_CUSTOMERS | {"PRESIGN_WINDOW_HOURS"},
    "VerifyFunction": OF_CUSTOMERS
    | {
        "PLATFORM_URL",
        "VERIFICATION_SECRET_ID",
        "PEPPER_SECRET_ID",
        "TABLE_NAME",
        "DAILY_ATTEMPT_LIMIT",
        "CLIENT_HOURLY_LIMIT",
        "PLATFORM_CONNECT_TIMEOUT",
        "PLATFORM_READ_TIMEOUT",
        "PLATFORM_DEADLINE",
        "RECEIPT_SECRET_ID",
        "RECEIPT_NUMBER",
        "RECEIPT_LIFE_SECONDS",
        "RECEIPT_ISSUER",
    },
    "ReceiptKeysFunction": SHARED | {"RECEIPT_SECRET_ID"},
}
ROUTES: Final = {
    "PreSignFunction": ("POST", "/presign"),
    "VerifyFunction": ("POST", "/verify"),
    "ReceiptKeysFunction": ("GET", "/.well-known/jwks.json"),
}


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
def test_a_release_is_off_or_a_name(name: str) -> None:
    assert allows("Release", name)


@pytest.mark.parametrize(
    "word",
    ["", "Off", "OFF", "false", "no", "None", "0", "on", "true", "1", "-1", "release 2", "r" * 64 + "1"],
)
def test_no_other_word_for_off_or_on_is_taken_for_a_release(word: str) -> None:
    assert not allows("Release", word)


@pytest.mark.parametrize("name", ["", "number.abc.com", "a.cn", "xn--fiqs8s.cn"])
def test_a_domain_name_is_a_name_alone(name: str) -> None:
    assert allows("DomainName", name)


@pytest.mark.parametrize(
    "name",
    ["https://number.abc.com", "number.abc.com/", "Number.abc.com", "*.abc.com", "localhost", "a..b", "-a.b"],
)
def test_what_is_no_domain_name_is_refused(name: str) -> None:
    assert not allows("DomainName", name)


def test_a_network_of_ones_own_is_named_by_ids() -> None:
    assert allows("SubnetIds", "subnet-0a1b2c3d,subnet-0123456789abcdef0")
    assert allows("SecurityGroupIds", "sg-0a1b2c3d")
    assert not allows("SubnetIds", "subnet-0a1b2c3d, subnet-4e5f6a7b")
    assert not allows("SecurityGroupIds", "default")


# --- What goes together ------------------------------------------------------------------------------

ARN_OF_SECRET: Final = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:any-a1B2c3"
ASKED: Final = {
    "AppId": "000340",
    "AllowedOrigins": "https://www.abc.com",
    "SigningSecretArn": ARN_OF_SECRET,
    "VerificationSecretArn": ARN_OF_SECRET,
}
DOMAIN: Final = {
    "DomainName": "number.abc.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/a-1",
}
OWN_VPC: Final = {"SubnetIds": "subnet-0a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"}
TOPIC: Final = {"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms"}


def refusals(given: Mapping[str, str]) -> list[str]:
    """Evaluate the rules; give what CloudFormation would say of those that do not hold."""
    deployment = Template(TEMPLATE).deploy({**ASKED, **given}, Pseudo("cn-north-1", "123456789012", "demo"))
    assertions = [item for rule in TEMPLATE["Rules"].values() for item in rule["Assertions"]]
    return [item["AssertDescription"] for item in assertions if not deployment.evaluate(item["Assert"])]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SnapStart": "on"}, ["SnapStart", "Release"]),
        ({"TrafficShift": "Canary10Percent5Minutes"}, ["TrafficShift", "Release"]),
        ({"SubnetIds": OWN_VPC["SubnetIds"]}, ["SubnetIds", "SecurityGroupIds"]),
        ({"SecurityGroupIds": OWN_VPC["SecurityGroupIds"]}, ["SecurityGroupIds", "SubnetIds"]),
        ({**OWN_VPC, "StaticEgress": "one-address"}, ["StaticEgress", "SubnetIds"]),
        ({"SecretsEndpoint": "on"}, ["SecretsEndpoint", "StaticEgress"]),
        ({**OWN_VPC, "SecretsEndpoint": "on"}, ["SecretsEndpoint", "StaticEgress"]),
        ({"DomainName": DOMAIN["DomainName"]}, ["DomainName", "CertificateArn"]),
        ({"CertificateArn": DOMAIN["CertificateArn"]}, ["CertificateArn", "DomainName"]),
        ({"HostedZoneId": "Z0123"}, ["HostedZoneId", "DomainName"]),
        ({"AlarmEmail": "a@abc.com", **TOPIC}, ["AlarmEmail", "AlarmTopicArn"]),
        ({"Receipts": "on"}, ["Receipts", "ReceiptSecretArn"]),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(given: dict[str, str], named: list[str]) -> None:
    (refusal,) = refusals(given)

    assert [name for name in named if name in refusal] == named


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Release": "v2"},
        {"Release": "v2", "SnapStart": "on", "TrafficShift": "Linear10PercentEvery1Minute"},
        {"StaticEgress": "two-addresses", "SecretsEndpoint": "on"},
        OWN_VPC,
        DOMAIN,
        {**DOMAIN, "HostedZoneId": "Z0123"},
        {"AlarmEmail": "a@abc.com"},
        TOPIC,
        {"Receipts": "on", "ReceiptSecretArn": ARN_OF_SECRET},
        {"ReceiptSecretArn": ARN_OF_SECRET},  # made before it is used
    ],
)
def test_what_goes_together_is_taken(given: dict[str, str]) -> None:
    assert refusals(given) == []


def test_rules_use_what_cloudformation_evaluates_in_them() -> None:
    """No conditions and no mappings: only parameters, and of the functions only these."""
    rules = json.dumps(TEMPLATE["Rules"])

    assert set(re.findall(r'"(Fn::\w+|Condition|Ref)"', rules)) == {"Fn::Or", "Fn::Not", "Fn::Equals", "Ref"}
    assert set(re.findall(r'"Ref": "([^"]+)"', rules)) <= PARAMETERS.keys()


# --- The way in ------------------------------------------------------------------------------------


def test_cors_admits_the_configured_origins_and_no_more() -> None:
    assert properties("NumberVerificationApi")["CorsConfiguration"] == {
        "AllowOrigins": {"Ref": "AllowedOrigins"},
        "AllowMethods": ["POST"],
        "AllowHeaders": ["content-type"],
        "ExposeHeaders": ["retry-after", "apigw-requestid"],
        "MaxAge": 7200,
    }


@pytest.mark.parametrize("function", ROUTES)
def test_each_function_has_one_route(function: str) -> None:
    method, path = ROUTES[function]
    (event,) = properties(function)["Events"].values()

    assert event == {
        "Type": "HttpApi",
        "Properties": {"ApiId": {"Ref": "NumberVerificationApi"}, "Method": method, "Path": path},
    }


def test_the_apis_definition_has_the_functions_routes_and_no_more() -> None:
    """SAM would add a route that is missing there, but with the function behind it even under a Release."""
    written = properties("NumberVerificationApi")["DefinitionBody"]["paths"]
    paths = {path: item["Fn::If"][1] if "Fn::If" in item else item for path, item in written.items()}

    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(
        ROUTES.values()
    )
    conditional = {path: item["Fn::If"][0] for path, item in written.items() if "Fn::If" in item}
    assert conditional == {ROUTES["ReceiptKeysFunction"][1]: RESOURCES["ReceiptKeysFunction"]["Condition"]}


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


@pytest.mark.parametrize("function", SETTINGS)
def test_each_function_gets_the_settings_that_it_reads(function: str) -> None:
    assert set(properties(function)["Environment"]["Variables"]) == SETTINGS[function]


@pytest.mark.parametrize("function", SETTINGS)
def test_no_setting_is_read_that_is_not_set_nor_set_that_is_not_read(function: str) -> None:
    package = ROOT / "functions" / properties(function)["Handler"].partition(".")[0]
    modules = [package / "settings.py"]
    if "CommonSettings" in modules[0].read_text():
        modules.append(ROOT / "layers/crypto/cmpassport/settings.py")
    read = {name for module in modules for name in re.findall(r'env, "([A-Z][A-Z_]+)"', module.read_text())}

    of_libraries = {name for name in SHARED if name.startswith(("POWERTOOLS_", "AWS_"))}
    assert set(properties(function)["Environment"]["Variables"]) - of_libraries == read


@pytest.mark.parametrize("function", SETTINGS)
def test_each_functions_metrics_are_its_stacks_own(function: str) -> None:
    package = properties(function)["Handler"].partition(".")[0]
    name = {"jwks": "receipt-keys"}.get(package, package)

    variables = properties(function)["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}


def test_without_receipts_verify_is_told_nothing_of_them() -> None:
    variables = properties("VerifyFunction")["Environment"]["Variables"]
    absent = {"Ref": "AWS::NoValue"}

    told = {name: value["Fn::If"] for name, value in variables.items() if name.startswith("RECEIPT")}
    assert {name: (choice[0], choice[2]) for name, choice in told.items()} == dict.fromkeys(
        told, ("HasReceipts", absent)
    )


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


@pytest.mark.parametrize("name", ["PreSign", "Verify", "ReceiptKeys"])
def test_every_role_writes_its_own_log_and_traces_only(name: str) -> None:
    role, group = f"{name}Role", f"{name}LogGroup"
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


WITH_RECEIPTS: Final = {"Fn::If": ["HasReceipts", {"Ref": "ReceiptSecretArn"}, {"Ref": "AWS::NoValue"}]}


def test_the_receipt_keys_function_reads_the_receipts_secret_and_nothing_else() -> None:
    allowed = statements("ReceiptKeysRole")

    assert set(allowed) == {"ReadTheReceiptSecret", "DecryptTheSecrets", "WriteItsOwnLog", "SendTraces"}
    assert allowed["ReadTheReceiptSecret"]["Action"] == "secretsmanager:GetSecretValue"
    assert allowed["ReadTheReceiptSecret"]["Resource"] == {"Ref": "ReceiptSecretArn"}
    assert decrypts("ReceiptKeysRole") == [{"Ref": "ReceiptSecretArn"}]


def test_verify_reads_its_secrets_and_calls_its_table() -> None:
    allowed = statements("VerifyRole")

    assert set(allowed) == {
        "ReadItsSecrets",
        "DecryptTheSecrets",
        "DecryptThePepper",
        "DecryptTheTablesKey",
        "CountAttemptsAndKeepOutcomes",
        "LetLambdaJoinTheVpc",
        "LetLambdaSeeTheVpc",
        "KeepTheCodeFromTheNetwork",
        "WriteItsOwnLog",
        "SendTraces",
    }
    assert allowed["ReadItsSecrets"] == {
        "Sid": "ReadItsSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": [
            {"Ref": "SigningSecretArn"},
            {"Ref": "VerificationSecretArn"},
            {"Ref": "PepperSecret"},
            WITH_RECEIPTS,
        ],
    }
    assert allowed["CountAttemptsAndKeepOutcomes"] == {
        "Sid": "CountAttemptsAndKeepOutcomes",
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
        "Resource": {"Fn::GetAtt": "AttemptsTable.Arn"},
    }
    assert decrypts("VerifyRole") == [
        {"Ref": "SigningSecretArn"},
        {"Ref": "VerificationSecretArn"},
        WITH_RECEIPTS,
    ]


def test_with_a_key_of_ones_own_verify_opens_its_pepper_and_its_table_alone() -> None:
    allowed = statements("VerifyRole")

    contexts = {
        "DecryptThePepper": {"kms:EncryptionContext:SecretARN": {"Ref": "PepperSecret"}},
        "DecryptTheTablesKey": {"kms:EncryptionContext:aws:dynamodb:tableName": {"Ref": "AttemptsTable"}},
    }
    for sid, context in contexts.items():
        assert allowed[sid] == {
            "Sid": sid,
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": {"Ref": "DataKmsKeyArn"},
            "Condition": {"StringEquals": context},
        }


def test_only_lambda_uses_what_joins_the_function_to_a_vpc() -> None:
    allowed = statements("VerifyRole")
    network = {
        action
        for statement in allowed.values()
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        if action.startswith("ec2:")
    }

    assert network == {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }
    refused = allowed["KeepTheCodeFromTheNetwork"]
    assert (refused["Effect"], refused["Action"], refused["Resource"]) == ("Deny", "ec2:*", "*")
    (function,) = refused["Condition"]["ArnLike"]["lambda:SourceFunctionArn"].values()
    assert function.endswith(":lambda:${AWS::Region}:${AWS::AccountId}:function:*")


def decrypts(role: str) -> Any:
    """Give the secrets that a role may have decrypted with the operator's own key."""
    statement = statements(role)["DecryptTheSecrets"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "SecretsKmsKeyArn"}
    secrets = statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"]
    return secrets if isinstance(secrets, list) else [secrets]


# --- Releases --------------------------------------------------------------------------------------


def test_what_replaced_a_plain_version_leaves_it_and_a_snapshot_goes() -> None:
    """To a version that is there an alias can be set back at once; one with a snapshot costs."""
    versions = {
        name: resource.get("UpdateReplacePolicy", "Delete")
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Lambda::Version"
    }

    assert versions == {
        "PreSignVersion": "Retain",
        "VerifyVersion": "Retain",
        "ReceiptKeysVersion": "Retain",
        "PreSignSnapshot": "Delete",
        "VerifySnapshot": "Delete",
    }


@pytest.mark.parametrize("name", ["PreSign", "Verify"])
def test_each_shift_is_taken_back_by_the_alarm_of_its_own_release(name: str) -> None:
    shift = properties(f"{name}Shift")

    assert shift["AlarmConfiguration"] == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": f"{name}ReleaseAlarm"}}],
    }
    assert shift["AutoRollbackConfiguration"]["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in shift["AutoRollbackConfiguration"]["Events"]


def test_codedeploy_knows_every_way_of_shifting() -> None:
    predefined = {"AllAtOnce", "Linear10PercentEvery1Minute", "Linear10PercentEvery10Minutes"}
    predefined |= {f"Canary10Percent{minutes}Minutes" for minutes in (5, 10, 15, 30)}

    assert set(PARAMETERS["TrafficShift"]["AllowedValues"]) <= predefined


# --- What is kept ----------------------------------------------------------------------------------


WITH_A_KEY: Final = {"Fn::If": ["HasDataKmsKey", {"Ref": "DataKmsKeyArn"}, {"Ref": "AWS::NoValue"}]}


def test_the_table_is_on_demand_encrypted_recoverable_and_outlives_the_stack() -> None:
    table = RESOURCES["AttemptsTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "expiration", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {
            "SSEEnabled": True,
            "SSEType": {"Fn::If": ["HasDataKmsKey", "KMS", {"Ref": "AWS::NoValue"}]},
            "KMSMasterKeyId": WITH_A_KEY,
        },
    }


def test_the_pepper_is_made_by_aws_and_outlives_the_stack() -> None:
    pepper = RESOURCES["PepperSecret"]

    assert pepper["DeletionPolicy"] == pepper["UpdateReplacePolicy"] == "Retain"
    assert pepper["Properties"]["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}
    assert pepper["Properties"]["KmsKeyId"] == WITH_A_KEY


@pytest.mark.parametrize(
    "group", [name for name in RESOURCES if RESOURCES[name]["Type"] == "AWS::Logs::LogGroup"]
)
def test_every_log_ends_and_has_the_operators_key(group: str) -> None:
    assert properties(group) == {"RetentionInDays": {"Ref": "LogRetentionDays"}, "KmsKeyId": WITH_A_KEY}


# --- The way out -----------------------------------------------------------------------------------


def test_the_verification_alone_is_in_the_vpc() -> None:
    assert [name for name in SETTINGS if "VpcConfig" in properties(name)] == ["VerifyFunction"]


def test_nothing_calls_the_verification_and_it_calls_only_what_it_has_to() -> None:
    group = properties("VerifySecurityGroup")
    https, test_line = group["SecurityGroupEgress"]
    platform = urlsplit(TEMPLATE["Mappings"]["Lines"]["test"]["PlatformUrl"])

    assert "SecurityGroupIngress" not in group
    assert (https["FromPort"], https["ToPort"], https["CidrIp"]) == (443, 443, "0.0.0.0/0")
    condition, http, otherwise = test_line["Fn::If"]
    assert (condition, otherwise) == ("IsOnTestLine", {"Ref": "AWS::NoValue"})
    assert (http["FromPort"], http["ToPort"]) == (80, 80)
    assert platform.scheme == "http"
    assert http["CidrIp"] == f"{platform.hostname}/32"


def test_the_function_waits_for_the_way_out() -> None:
    """It waits for its security group, and that for every route and the table's endpoint."""
    waits = RESOURCES["VerifySecurityGroup"]["DependsOn"]
    private = [
        name
        for name, resource in RESOURCES.items()
        if name.startswith("Private")
        and "Route" in resource["Type"]
        and not resource["Type"].endswith("Table")
    ]

    assert sorted(waits) == sorted([*private, "DynamoDbEndpoint"])
    assert {"Ref": "VerifySecurityGroup"} in properties("VerifyFunction")["VpcConfig"]["Fn::If"][1][
        "SecurityGroupIds"
    ]


def test_the_endpoints_let_through_what_the_role_allows() -> None:
    allowed = statements("VerifyRole")
    for endpoint, sid in (
        ("DynamoDbEndpoint", "CountAttemptsAndKeepOutcomes"),
        ("SecretsManagerEndpoint", "ReadItsSecrets"),
    ):
        (statement,) = properties(endpoint)["PolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": "*",
            "Action": allowed[sid]["Action"],
            "Resource": allowed[sid]["Resource"],
        }


def test_the_networks_ranges_are_apart() -> None:
    vpc = IPv4Network(properties("EgressVpc")["CidrBlock"])
    subnets = [
        IPv4Network(resource["Properties"]["CidrBlock"])
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::EC2::Subnet"
    ]

    assert all(subnet.subnet_of(vpc) for subnet in subnets)
    assert not [pair for pair in combinations(subnets, 2) if pair[0].overlaps(pair[1])]


# --- Anywhere --------------------------------------------------------------------------------------


def test_no_partition_region_or_account_is_written_down() -> None:
    # Above stand patterns, examples and the platform's own addresses: not where the stack goes.
    placed = TEXT.split("\nConditions:\n", 1)[1]

    assert not re.search(r"arn:aws", placed)
    # As principals, these two have the same names everywhere.
    assert "amazonaws.com" not in re.sub(
        r"(Service|Principal): (lambda|apigateway)\.amazonaws\.com", "", placed
    )
    assert not re.search(r"\b(us|eu|ap|cn|sa|ca|me|af|il|mx)(-[a-z]+)+-\d\b", placed)
    assert not re.search(r"\b\d{12}\b", placed)
    assert not re.search(r"AvailabilityZone: (?!!Select \[[01], !GetAZs \"\"\])", placed)


def test_the_template_reads_as_cloudformation_does() -> None:
    """No aliases and no merges, which CloudFormation does not know."""
    tokens = list(yaml.scan(TEXT))

    assert not [token for token in tokens if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]
    assert "<<:" not in TEXT


@pytest.mark.parametrize(
    "output",
    [
        "ApiUrl",
        "PreSignUrl",
        "VerifyUrl",
        "ReceiptKeysUrl",
        "DomainTarget",
        "PageAppId",
        "PageOrigins",
        "PlatformUrl",
        "EgressAddresses",
        "AttemptsTableName",
        "PepperSecretArn",
        "AlarmTopic",
        "DashboardUrl",
    ],
)
def test_what_others_need_is_an_output(output: str) -> None:
    assert TEMPLATE["Outputs"][output]["Description"]


def test_no_output_has_a_parameters_name() -> None:
    """`sam local` would put the parameter's value in place of the output's name."""
    assert not TEMPLATE["Outputs"].keys() & PARAMETERS.keys()
