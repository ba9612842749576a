"""docs/openapi.yaml, to which every answer that a test gets through HTTP is held."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from local import ROOT

API: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the description."""
    while "$ref" in part:
        target: Any = API
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part


def responses(method: str, path: str) -> dict[str, dict[str, Any]]:
    """Return an operation's responses by status."""
    described: dict[str, dict[str, Any]] = API["paths"][path][method]["responses"]
    return {status: resolve(response) for status, response in described.items()}


def members(path: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of a request's members by name."""
    body = API["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    found: dict[str, dict[str, Any]] = body["properties"]
    return found


@cache
def _validator(method: str, path: str, status: str, content_type: str) -> Draft202012Validator:
    schema = responses(method, path)[status]["content"][content_type]["schema"]
    return Draft202012Validator({**schema, "components": API["components"]})


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Check that an answer is one that the description has."""
    content_type = headers["Content-Type"].partition(";")[0]
    _validator(method, path, str(status), content_type).validate(body)
    for name, header in responses(method, path)[str(status)].get("headers", {}).items():
        if name in headers:
            value: Any = headers[name]
            schema = resolve(header)["schema"]
            Draft202012Validator(schema).validate(int(value) if schema.get("type") == "integer" else value)
