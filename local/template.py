"""CloudFormation in small: reads template.yaml and evaluates it for given parameter values.

The local stack makes everything it can from the template's own definitions (routes, CORS, functions,
settings, table, secrets), so that a mistake in the template shows on a developer's machine. What is supported
is what a template of this size uses; anything else is an error that names it, never a guess.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

FUNCTION: Final = "AWS::Serverless::Function"
HTTP_API: Final = "AWS::Serverless::HttpApi"
TABLE: Final = "AWS::DynamoDB::Table"
SECRET: Final = "AWS::SecretsManager::Secret"  # noqa: S105 - a resource type

_GLOBALS: Final = {FUNCTION: "Function", HTTP_API: "HttpApi"}
"""The sections of SAM's Globals, which are merged into every resource of a type."""

_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")
_NO_VALUE: Final = object()
_NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?"


class TemplateError(Exception):
    """The template, or a parameter's value, is not acceptable; one line that says what."""


@dataclass(frozen=True, slots=True)
class Pseudo:
    """The pseudo-parameters: where the template is taken to be deployed."""

    region: str
    account_id: str
    stack_name: str

    @property
    def partition(self) -> str:
        """`aws`, or `aws-cn` in China's regions."""
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def values(self) -> dict[str, Any]:
        """Return what `Ref` and `Sub` find under the names that begin with AWS::."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return {
            "AWS::AccountId": self.account_id,
            "AWS::NoValue": _NO_VALUE,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": suffix,
        }


@dataclass(frozen=True, slots=True)
class Template:
    """A template as written, intrinsic functions in their long form, Globals merged."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML template; TemplateError where there is none."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(f"{path} cannot be read: {error}") from error
        except yaml.YAMLError as error:
            raise TemplateError(f"{path} is not YAML: {' '.join(str(error).split())}") from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a template's text."""
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with CloudFormation's tags
        if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
            raise TemplateError("the template has no Resources")
        for resource in document["Resources"].values():
            section = document.get("Globals", {}).get(_GLOBALS.get(resource["Type"]), {})
            resource["Properties"] = _merge(section, resource.get("Properties", {}))
        return cls(document)

    def deploy(self, parameters: Mapping[str, str], pseudo: Pseudo) -> "Deployment":
        """Check the parameters as CloudFormation does and make the template evaluable.

        Raises
        ------
        TemplateError
            A parameter is unknown, missing or not allowed; the text is the template's ConstraintDescription.
        """
        declared: Mapping[str, Any] = self.document.get("Parameters", {})
        for name in parameters:
            if name not in declared:
                raise TemplateError(f"the template has no parameter {name}")
        values = {name: _parameter(name, spec, parameters.get(name)) for name, spec in declared.items()}
        return Deployment(self.document, {**pseudo.values(), **values}, pseudo)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A template with its parameters: what there is and with which properties."""

    document: Mapping[str, Any]
    references: dict[str, Any]
    """What `Ref` gives, by name: parameters, pseudo-parameters and, once created, resources."""
    pseudo: Pseudo
    attributes: dict[str, str] = field(default_factory=dict)
    """What `Fn::GetAtt` gives, by `LogicalId.Attribute`, once created."""

    def created(self, logical_id: str, reference: str, **attributes: str) -> None:
        """Make a resource known to `Ref` and `Fn::GetAtt`."""
        self.references[logical_id] = reference
        self.attributes.update({f"{logical_id}.{name}": value for name, value in attributes.items()})

    def resources(self, kind: str) -> Iterator[str]:
        """Yield the logical ids of one type whose condition holds, in the template's order."""
        for logical_id, resource in self.document["Resources"].items():
            condition = resource.get("Condition")
            if resource["Type"] == kind and (condition is None or self.holds(condition)):
                yield logical_id

    def properties(self, logical_id: str) -> "Properties":
        """Return a resource's properties, evaluated as they are asked for."""
        return Properties(self, logical_id, self.document["Resources"][logical_id]["Properties"])

    def holds(self, condition: str) -> bool:
        """Evaluate one of the template's conditions."""
        try:
            return bool(self.evaluate(self.document["Conditions"][condition]))
        except KeyError:
            raise TemplateError(f"the template has no condition {condition}") from None

    def evaluate(self, value: Any) -> Any:
        """Evaluate intrinsic functions, however deep; what is AWS::NoValue is left out.

        Raises
        ------
        TemplateError
            A function is not supported here, or names what there is not.
        """
        if isinstance(value, list):
            return [item for item in map(self.evaluate, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        name = _intrinsic(value)
        if name is None:
            evaluated = {key: self.evaluate(item) for key, item in value.items()}
            return {key: item for key, item in evaluated.items() if item is not _NO_VALUE}
        function = _FUNCTIONS.get(name)
        if function is None:
            raise TemplateError(f"the local stack cannot evaluate {name}")
        return function(self, value[name])

    def ref(self, name: str) -> Any:
        """Evaluate `Ref`."""
        try:
            return self.references[name]
        except KeyError:
            raise TemplateError(f"the local stack knows nothing that Ref {name} could give") from None

    def get_att(self, name: str) -> str:
        """Evaluate `Fn::GetAtt`, given as `LogicalId.Attribute`."""
        try:
            return self.attributes[name]
        except KeyError:
            raise TemplateError(f"the local stack knows nothing that GetAtt {name} could give") from None


@dataclass(frozen=True, slots=True)
class Properties:
    """A resource's properties. Each is evaluated alone: many mention resources that only AWS has."""

    deployment: Deployment
    logical_id: str
    written: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Evaluate one property; the default when it is absent or AWS::NoValue."""
        value = self.deployment.evaluate(self.written.get(name, _NO_VALUE))
        return default if value is _NO_VALUE else value

    def require(self, name: str) -> Any:
        """Evaluate one property that must be there."""
        value = self.get(name)
        if value is None:
            raise TemplateError(f"{self.logical_id} has no {name}")
        return value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml is ten times as fast
    """YAML as CloudFormation reads it: dates stay texts, and a tag is short for an intrinsic function."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_tag(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _construct_tag)


def _intrinsic(value: Mapping[str, Any]) -> str | None:
    """Tell which intrinsic function a mapping is, if any."""
    if len(value) != 1:
        return None
    name = next(iter(value))
    is_one = name == "Ref" or str(name).startswith("Fn::")
    # `Condition` is a function among conditions only; in a policy it is an ordinary key with a mapping.
    is_condition = name == "Condition" and isinstance(value[name], str)
    return name if is_one or is_condition else None


def _merge(section: Any, own: Any) -> Any:
    """Merge Globals into a resource's properties: mappings by key, lists end to end; its own wins."""
    if isinstance(section, dict) and isinstance(own, dict) and not (_intrinsic(section) or _intrinsic(own)):
        merged = {key: _merge(section[key], own[key]) if key in section else own[key] for key in own}
        return {**section, **merged}
    if isinstance(section, list) and isinstance(own, list):
        return [*section, *own]
    return own


# --- Parameters ---------------------------------------------------------------------------------------------


def _parameter(name: str, spec: Mapping[str, Any], given: str | None) -> str | list[str]:
    """Take a parameter's value or its default, held against its constraints."""
    if given is None and "Default" not in spec:
        raise TemplateError(f"parameter {name} has no value")
    text = _text(spec["Default"]) if given is None else given
    is_list = spec["Type"] == "CommaDelimitedList" or spec["Type"].startswith("List<")
    value = [part.strip() for part in text.split(",")] if is_list else text
    for part in value if isinstance(value, list) else [value]:
        if not _allowed(part, spec):
            reason = " ".join(spec.get("ConstraintDescription", "the value is not allowed").split())
            raise TemplateError(f"parameter {name}: {reason}")
    return value


def _allowed(value: str, spec: Mapping[str, Any]) -> bool:
    is_number = spec["Type"].endswith(("Number", "Number>"))
    patterns = [spec.get("AllowedPattern", "(?s:.*)"), _NUMBER if is_number else "(?s:.*)"]
    return (
        all(re.fullmatch(pattern, value, re.ASCII) for pattern in patterns)
        and value in map(_text, spec.get("AllowedValues", [value]))
        and int(spec.get("MinLength", 0)) <= len(value) <= int(spec.get("MaxLength", 4096))
        and (not is_number or float(spec.get("MinValue", "-inf")) <= float(value))
        and (not is_number or float(value) <= float(spec.get("MaxValue", "inf")))
    )


def _text(value: Any) -> str:
    """Write a scalar as CloudFormation hands it on."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- Intrinsic functions ------------------------------------------------------------------------------------


def _sub(deployment: Deployment, argument: Any) -> str:
    template, given = argument if isinstance(argument, list) else (argument, {})
    variables = {name: deployment.evaluate(value) for name, value in given.items()}

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name in variables:
            return _text(variables[name])
        return deployment.get_att(name) if "." in name else _text(deployment.ref(name))

    return _VARIABLE.sub(replace, template)


def _if(deployment: Deployment, argument: list[Any]) -> Any:
    condition, then, otherwise = argument
    return deployment.evaluate(then if deployment.holds(condition) else otherwise)


def _equals(deployment: Deployment, argument: list[Any]) -> bool:
    first, second = map(deployment.evaluate, argument)
    return _text(first) == _text(second)


def _find_in_map(deployment: Deployment, argument: list[Any]) -> Any:
    name, top, second = map(deployment.evaluate, argument[:3])
    try:
        return deployment.document["Mappings"][name][top][second]
    except KeyError:
        raise TemplateError(f"the template's mapping {name} has no {top}.{second}") from None


def _select(deployment: Deployment, argument: list[Any]) -> Any:
    index, items = map(deployment.evaluate, argument)
    return items[int(index)]


_FUNCTIONS: Final[Mapping[str, Callable[[Deployment, Any], Any]]] = {
    "Condition": Deployment.holds,
    "Fn::And": lambda deployment, parts: all(map(deployment.evaluate, parts)),
    "Fn::Equals": _equals,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAtt": lambda deployment, name: deployment.get_att(
        name if isinstance(name, str) else ".".join(name)
    ),
    "Fn::If": _if,
    "Fn::Join": lambda deployment, argument: argument[0].join(map(_text, deployment.evaluate(argument[1]))),
    "Fn::Not": lambda deployment, parts: not deployment.evaluate(parts[0]),
    "Fn::Or": lambda deployment, parts: any(map(deployment.evaluate, parts)),
    "Fn::Select": _select,
    "Fn::Split": lambda deployment, argument: str(deployment.evaluate(argument[1])).split(argument[0]),
    "Fn::Sub": _sub,
    "Ref": Deployment.ref,
}
