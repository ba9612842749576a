"""AWS as moto has it, with a CloudFormation that carries the whole template, in a process of its own.

Moto's CloudFormation makes what moto has a model for. For the types that it lacks, and for those of which it
drops properties, the classes here call the service itself as CloudFormation's own resource handlers do; boto3
holds every property against the service's description. `main` is that process, with two arguments: the file
descriptor of a listening socket, and a file that gets a line for each call of a function's, who calls and
what of which resource. The end of standard input is its own end.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from types import new_class
from typing import Any, ClassVar, Final, Self

import boto3
from moto.core.common_models import CloudFormationModel
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug import Request

from local.server import Server

FUNCTIONS_KEYS: Final = "FUNCTION-"
"""With what the access key ids of functions begin; the function's name follows."""

_SCALARS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
}
_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/")


class _Made:
    """A resource that is made by calls to its service.

    Attributes
    ----------
    physical_resource_id
        What `Ref` gives.
    attributes
        What `Fn::GetAtt` gives.
    """

    kind: ClassVar[str]
    service: ClassVar[str]
    session: ClassVar[boto3.Session]
    endpoint: ClassVar[str]

    def __init__(self, reference: str, attributes: Mapping[str, str] | None = None) -> None:
        self.physical_resource_id = reference
        self.attributes = attributes or {}

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        """Make it."""
        raise NotImplementedError

    @classmethod
    def change(cls, client: Any, made: Self, properties: dict[str, Any]) -> Self:
        """Change it in place."""
        raise NotImplementedError(f"{cls.kind} is not changed here")

    @classmethod
    def unmake(cls, client: Any, name: str) -> None:
        """Delete it; what costs and holds nothing stays."""

    # Moto's own methods.

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        del attr
        return True

    def get_cfn_attribute(self, name: str) -> str:
        return self.attributes[name]

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], *place: str, **_: Any
    ) -> Self:
        _account_id, region = place
        return cls.make(cls._client(region), resource_name, dict(cloudformation_json["Properties"]))

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Self,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Self:
        del new_resource_name, account_id
        properties = dict(cloudformation_json["Properties"])
        return cls.change(cls._client(region_name), original_resource, properties)

    def delete(self, account_id: str, region_name: str) -> None:
        del account_id
        self.unmake(self._client(region_name), self.physical_resource_id)

    @classmethod
    @cache
    def _client(cls, region: str) -> Any:
        client: Any = _Made.session.client  # any service
        return client(cls.service, region, endpoint_url=_Made.endpoint)


class _Table(_Made):
    """Moto's own forgets how long items live, and backups."""

    kind = "AWS::DynamoDB::Table"
    service = "dynamodb"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        life = properties.pop("TimeToLiveSpecification")
        recovery = properties.pop("PointInTimeRecoverySpecification")
        encryption = properties["SSESpecification"]
        encryption["Enabled"] = encryption.pop("SSEEnabled")
        table = _call(client, "create_table", TableName=name, **properties)["TableDescription"]
        _call(client, "update_time_to_live", TableName=name, TimeToLiveSpecification=life)
        _call(client, "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=recovery)
        return cls(name, {"Arn": table["TableArn"]})

    @classmethod
    def unmake(cls, client: Any, name: str) -> None:
        client.delete_table(TableName=name)


class _Role(_Made):
    """Moto's own keeps policies that are no JSON."""

    kind = "AWS::IAM::Role"
    service = "iam"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        policies = properties.pop("Policies")
        trust = json.dumps(properties.pop("AssumeRolePolicyDocument"))
        made = _call(client, "create_role", RoleName=name, AssumeRolePolicyDocument=trust, **properties)
        for policy in policies:
            document = json.dumps(policy.pop("PolicyDocument"))
            _call(client, "put_role_policy", RoleName=name, PolicyDocument=document, **policy)
        return cls(name, {"Arn": made["Role"]["Arn"]})


class _Secret(_Made):
    kind = "AWS::SecretsManager::Secret"
    service = "secretsmanager"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        text = _call(client, "get_random_password", **properties.pop("GenerateSecretString"))[
            "RandomPassword"
        ]
        arn = _call(client, "create_secret", Name=name, SecretString=text, **properties)["ARN"]
        return cls(arn, {"Id": arn})

    @classmethod
    def unmake(cls, client: Any, name: str) -> None:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


class _LogGroup(_Made):
    """Moto's own cannot be changed."""

    kind = "AWS::Logs::LogGroup"
    service = "logs"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        days = properties.pop("RetentionInDays")
        _call(client, "create_log_group", logGroupName=name, **properties)
        _call(client, "put_retention_policy", logGroupName=name, retentionInDays=days)
        (group,) = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return cls(name, {"Arn": group["arn"]})

    @classmethod
    def unmake(cls, client: Any, name: str) -> None:
        client.delete_log_group(logGroupName=name)

    @classmethod
    def change(cls, client: Any, made: Self, properties: dict[str, Any]) -> Self:
        _call(
            client,
            "put_retention_policy",
            logGroupName=made.physical_resource_id,
            retentionInDays=properties["RetentionInDays"],
        )
        return made


class _Alarm(_Made):
    kind = "AWS::CloudWatch::Alarm"
    service = "cloudwatch"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        _call(client, "put_metric_alarm", AlarmName=name, **properties)
        (alarm,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return cls(name, {"Arn": alarm["AlarmArn"]})

    @classmethod
    def change(cls, client: Any, made: Self, properties: dict[str, Any]) -> Self:
        return cls.make(client, made.physical_resource_id, properties)


class _Layer(_Made):
    """Moto's own is not what functions name."""

    kind = "AWS::Lambda::LayerVersion"
    service = "lambda"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        layer = _call(client, "publish_layer_version", **{"LayerName": name, **properties})
        return cls(layer["LayerVersionArn"])


class _Function(_Made):
    """Moto's own forgets layers, tracing, processor, logging and snapshots."""

    kind = "AWS::Lambda::Function"
    service = "lambda"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        arn = _call(client, "create_function", FunctionName=name, **_tagged(properties))["FunctionArn"]
        return cls(name, {"Arn": arn})

    @classmethod
    def unmake(cls, client: Any, name: str) -> None:
        client.delete_function(FunctionName=name)

    @classmethod
    def change(cls, client: Any, made: Self, properties: dict[str, Any]) -> Self:
        for fixed in ("Code", "Tags", "Architectures"):  # changed by other calls
            properties.pop(fixed, None)
        _call(client, "update_function_configuration", FunctionName=made.physical_resource_id, **properties)
        return made


class _Version(_Made):
    """Moto's own does not tell its number."""

    kind = "AWS::Lambda::Version"
    service = "lambda"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        version = _call(client, "publish_version", **properties)
        return cls(version["FunctionArn"], {"Version": version["Version"]})


class _Alias(_Made):
    kind = "AWS::Lambda::Alias"
    service = "lambda"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        return cls(_call(client, "create_alias", **properties)["AliasArn"])


class _Permission(_Made):
    """Moto's own takes no alias of a function."""

    kind = "AWS::Lambda::Permission"
    service = "lambda"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        _call(client, "add_permission", StatementId=name, **properties)
        return cls(name)


class _Api(_Made):
    kind = "AWS::ApiGatewayV2::Api"
    service = "apigatewayv2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        body = properties["Body"]
        endpoint = "x-amazon-apigateway-endpoint-configuration"
        made = _call(
            client,
            "create_api",
            Name=name,
            ProtocolType="HTTP",
            # Moto does not read it out of the body.
            DisableExecuteApiEndpoint=any(
                server[endpoint]["disableExecuteApiEndpoint"] for server in body.get("servers", ())
            ),
            Tags=properties.get("Tags", {}),
        )["ApiId"]
        warned = properties["FailOnWarnings"]
        _call(client, "reimport_api", ApiId=made, Body=json.dumps(body), FailOnWarnings=warned)
        return cls(made)


class _Stage(_Made):
    kind = "AWS::ApiGatewayV2::Stage"
    service = "apigatewayv2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        return cls(_call(client, "create_stage", **properties)["StageName"])


class _DomainName(_Made):
    kind = "AWS::ApiGatewayV2::DomainName"
    service = "apigatewayv2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        domain = _call(client, "create_domain_name", **properties)["DomainName"]
        # What AWS would call it itself, which moto does not say.
        own = f"d-{domain.replace('.', '-')}.execute-api.{client.meta.region_name}.amazonaws.com"
        return cls(domain, {"RegionalDomainName": own, "RegionalHostedZoneId": "ZAPIGATEWAY"})


class _ApiMapping(_Made):
    kind = "AWS::ApiGatewayV2::ApiMapping"
    service = "apigatewayv2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        return cls(_call(client, "create_api_mapping", **properties)["ApiMappingId"])


class _DeployApplication(_Made):
    kind = "AWS::CodeDeploy::Application"
    service = "codedeploy"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        _call(client, "create_application", applicationName=name, **properties)
        return cls(name)


class _DeploymentGroup(_Made):
    kind = "AWS::CodeDeploy::DeploymentGroup"
    service = "codedeploy"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        _call(client, "create_deployment_group", deploymentGroupName=name, **properties)
        return cls(name)


class _RouteTableAssociation(_Made):
    """Moto's own associates nothing."""

    kind = "AWS::EC2::SubnetRouteTableAssociation"
    service = "ec2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        return cls(_call(client, "associate_route_table", **properties)["AssociationId"])


class _SecurityGroup(_Made):
    """Moto's own lets everything out."""

    kind = "AWS::EC2::SecurityGroup"
    service = "ec2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        group = _call(
            client,
            "create_security_group",
            GroupName=name,
            Description=properties["GroupDescription"],
            VpcId=properties["VpcId"],
        )["GroupId"]
        incoming = [_permission(rule) for rule in properties.get("SecurityGroupIngress", ())]
        outgoing = [_permission(rule) for rule in properties.get("SecurityGroupEgress", ())]
        if outgoing:
            everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            client.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
            client.authorize_security_group_egress(GroupId=group, IpPermissions=outgoing)
        if incoming:
            client.authorize_security_group_ingress(GroupId=group, IpPermissions=incoming)
        return cls(group, {"GroupId": group})


class _VpcEndpoint(_Made):
    """Moto's own keeps a policy that is no JSON."""

    kind = "AWS::EC2::VPCEndpoint"
    service = "ec2"

    @classmethod
    def make(cls, client: Any, name: str, properties: dict[str, Any]) -> Self:
        del name
        policy = json.dumps(properties.pop("PolicyDocument"))
        made = _call(client, "create_vpc_endpoint", PolicyDocument=policy, **properties)["VpcEndpoint"]
        return cls(made["VpcEndpointId"])


MADE_HERE: Final = frozenset(made.kind for made in _Made.__subclasses__())
"""The types that are made by the classes of this module."""

LACKING: Final = frozenset(
    {
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::ApiMapping",
        "AWS::ApiGatewayV2::DomainName",
        "AWS::ApiGatewayV2::Stage",
        "AWS::CloudWatch::Alarm",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::Lambda::Alias",
        "AWS::SecretsManager::Secret",
    }
)
"""Those of them that moto's CloudFormation has not; the others it has, with less than the template needs."""


def _call(client: Any, operation: str, **parameters: Any) -> Any:
    """Call a service with properties as CloudFormation takes them: their types and letters may be others."""
    name = client.meta.method_to_api_mapping[operation]
    shape = client.meta.service_model.operation_model(name).input_shape
    return getattr(client, operation)(**_typed(shape, parameters))


def _typed(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        members = {name.lower(): name for name in shape.members}
        named = {members.get(name.lower(), name): item for name, item in value.items()}
        # A member that there is not stays for boto3 to refuse.
        return {
            name: _typed(shape.members[name], item) if name in shape.members else item
            for name, item in named.items()
        }
    if shape.type_name == "list":
        return [_typed(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {name: _typed(shape.value, item) for name, item in value.items()}
    return _SCALARS.get(shape.type_name, lambda scalar: scalar)(value)


def _permission(rule: dict[str, Any]) -> dict[str, Any]:
    """Write a security group's rule as EC2's API has it."""
    said = {"Description": rule["Description"]}
    permission = {"IpProtocol": rule["IpProtocol"], "FromPort": rule["FromPort"], "ToPort": rule["ToPort"]}
    if "SourceSecurityGroupId" in rule:
        return {**permission, "UserIdGroupPairs": [{"GroupId": rule["SourceSecurityGroupId"], **said}]}
    return {**permission, "IpRanges": [{"CidrIp": rule["CidrIp"], **said}]}


def _tagged(properties: dict[str, Any]) -> dict[str, Any]:
    """Write tags as Lambda's API has them."""
    tags = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", ())}
    return {**properties, "Tags": tags}


def _register() -> list[type]:
    """Have moto's CloudFormation make what is made here; moto itself keeps no hold of the classes."""
    # Its own models first: of two for one type it takes the later.
    from moto.cloudformation import parsing  # noqa: F401, PLC0415 - see above

    return [
        new_class(
            made.__name__, (made, CloudFormationModel), {}, lambda body: body.update(__module__=__name__)
        )
        for made in _Made.__subclasses__()
    ]


class _Application:
    """Moto's applications; notes what functions call."""

    def __init__(self, notes: Path) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._notes = notes

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        credential = _CREDENTIAL.search(request.headers.get("authorization", ""))
        if credential and credential[1].startswith(FUNCTIONS_KEYS):
            self._note(credential[1].removeprefix(FUNCTIONS_KEYS), request)
        environ["wsgi.input"] = BytesIO(request.get_data())
        return self._moto(environ, start_response)

    def _note(self, caller: str, request: Request) -> None:
        asked = json.loads(request.get_data() or b"{}")
        call = {
            "caller": caller,
            "target": request.headers.get("x-amz-target"),
            "resource": asked.get("SecretId") or asked.get("TableName"),
        }
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(f"{json.dumps(call)}\n")


def main() -> None:
    """Serve the inherited socket until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    listener = socket.socket(fileno=int(sys.argv[1]))
    host, port = listener.getsockname()
    _Made.session = boto3.Session("CLOUDFORMATION", "local")
    _Made.endpoint = f"http://{host}:{port}"
    models = _register()
    Server(_Application(Path(sys.argv[2])), listener)
    while models:
        time.sleep(3600)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)
