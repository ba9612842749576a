"""Writes docs/openapi.json, or another file: the OpenAPI 3.1 description of the API, made from the code.

Nothing here repeats what the code says. The handlers are asked which members they take, by requests that lack
them all and have one too many; which refusals an operation has, its source says, by the problems that it
names; what an answer looks like, the handlers' own answers to two made-up verdicts say. Receipts are on.
"""

import ast
import io
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch

from local import ROOT
from local.template import Template
from tests.support.receipt_secrets import LONG_AGO, new_key, secret

DESCRIPTION: Final = ROOT / "docs" / "openapi.json"
ORIGIN: Final = "https://www.example.com"
ENVIRONMENT: Final = {
    "APP_ID": "000001",
    "ALLOWED_ORIGINS": ORIGIN,
    "SIGNING_SECRET_ID": "signing",
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "http://127.0.0.1:9/NumberAbility/h5/verifyVmMobileApi.htm",
    "RECEIPT_SECRET_ID": "receipts",
    "RECEIPT_NUMBER": "masked",
    "RECEIPT_ISSUER": "https://api.example.com",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "POWERTOOLS_SERVICE_NAME": "number-verification",
    "POWERTOOLS_METRICS_NAMESPACE": "NumberVerification",
    "POWERTOOLS_METRICS_DISABLED": "true",
}
EXAMPLES: Final = {
    "preSign": "000001QD7VK2M0T9B5H1N8R3C6J4P0G7U2L5E920261124141912136T4A8N1F6S0V3K7D2M9B5H8R1C4J6P0G31.2",
    "phoneNum": "13999994444",
    "token": "VM_SAMPLE01",
    "userInformation": "sample%2Bfingerprint%3D%3D",
    "expandParams": "phoneNum=13999994444",
    "nonce": "q8Zr1vTn5sWc3yBx",
}
SUMMARIES: Final = {
    "presign": "Sign the SDK's preSign with the customer's private key (the guide's steps 5 and 6)",
    "verify": "Ask the platform whether a number is the SIM's own (the guide's steps 13 to 16)",
    "jwks": "The keys that check receipts (RFC 7517), where receipts are on",
}
_KNOWN: Final = "only these members are known: "


@cache
def function(name: str) -> ModuleType:
    """Import a function's handler module as Lambda does."""
    with patch.dict(os.environ, ENVIRONMENT):
        return import_module(f"{name}.app")


def ask(name: str, body: object) -> dict[str, Any]:
    """Give a handler's answer to a body."""
    event = {
        "headers": {"origin": ORIGIN, "content-type": "application/json"},
        "body": json.dumps(body),
        "requestContext": {"requestId": "described"},
    }
    with redirect_stdout(io.StringIO()):  # metrics
        answer: dict[str, Any] = function(name).handler(event, None)
    return answer


@cache
def members(name: str) -> tuple[list[str], list[str]]:
    """Ask a handler which members it takes: the required ones, and all."""
    errors = json.loads(ask(name, {"no such member": ""})["body"])["errors"]
    required = [error["field"] for error in errors if error["reason"] == "is missing"]
    (known,) = (error["reason"] for error in errors if not error["field"])
    return required, known.removeprefix(_KNOWN).split(", ")


def text_of(name: str) -> dict[str, Any]:
    """Describe a member; all are texts."""
    verify = function("verify")
    more: dict[str, Any] = {
        "preSign": {"pattern": presign_pattern()},
        "token": {"pattern": f"^{verify._TOKEN.pattern}$"},  # noqa: SLF001 - what is described is inside
        "userInformation": {"minLength": 1, "maxLength": verify._MAX_TEXT_CHARACTERS},  # noqa: SLF001 - as above
        "expandParams": {"maxLength": verify._MAX_TEXT_CHARACTERS},  # noqa: SLF001 - as above
        "nonce": {"pattern": f"^{verify._NONCE.pattern}$"},  # noqa: SLF001 - as above
        "phoneNum": {"maxLength": import_module("verify.submission").MAX_TYPED_CHARACTERS},
    }
    return {"type": "string", **more.get(name, {}), "examples": [EXAMPLES[name]]}


def presign_pattern() -> str:
    """Write the grammar as JSON Schema has patterns: any appId, no named groups."""
    grammar = import_module("presign.grammar")
    app_id = import_module("cmpassport.settings")._APP_ID.pattern  # noqa: SLF001 - as above
    form = f"^{app_id}(?:{grammar._CURRENT}|{grammar._LEGACY}){grammar._VERSION}$"  # noqa: SLF001 - as above
    return re.sub(r"\(\?P<[a-z]+>", "(?:", form)


def problems_named(paths: Iterable[Path]) -> set[str]:
    """Give the members of Problem that sources name."""
    return {
        node.attr
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Problem"
    }


def problems(name: str) -> list[Any]:
    """Give every Problem that an operation may answer with, in their own order."""
    Problem = import_module("cmpassport.problems").Problem  # noqa: N806 - the class
    shared = ROOT / "layers" / "crypto" / "cmpassport" / "http.py"
    named = problems_named([shared, *(ROOT / "functions" / name).glob("*.py")])
    return [problem for problem in Problem if problem.name in named]


def receipt_keys() -> Any:
    """Give the keys of a receipt secret that was just made."""
    keys: Any = import_module("cmpassport.receipt_keys").ReceiptKeys
    return keys.parse(secret((new_key(), LONG_AGO)))


@contextmanager
def _verdict(code: str) -> Iterator[None]:
    verification = import_module("verify.verification")
    now = int(time.time())
    outcome = verification.Outcome(None, code, "是本机号码", "f5a18050-75da-4e0f", "39f1feb1", 4, now)

    class Verdict:
        def verify(self, *_: object) -> Any:
            return outcome

    verify = function("verify")
    with (
        patch.object(verify, "_verifier", Verdict),
        patch.object(verify._receipts, "_keys", receipt_keys),  # noqa: SLF001 - as above
    ):
        yield


def verdicts() -> list[Mapping[str, Any]]:
    """Give the handler's answers to both verdicts."""
    given = []
    for code in ("000", "001"):
        with _verdict(code):
            body = {name: EXAMPLES[name] for name in members("verify")[0]}
            given.append(json.loads(ask("verify", body)["body"]))
    return given


_JSON_TYPES: Final = {bool: "boolean", int: "integer", str: "string"}


def answer_schema(answers: list[Mapping[str, Any]], closed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Describe answers by their members; those that are closed have no values but these.

    What the first answer has and another has not is optional.
    """
    described: dict[str, dict[str, Any]] = {}
    for name, value in answers[0].items():
        described[name] = {"type": _JSON_TYPES[type(value)]}
        if name in closed:
            described[name]["enum"] = [answer[name] for answer in answers]
        if described[name]["type"] == "integer":
            described[name]["minimum"] = 0
    return {
        "type": "object",
        "required": [name for name in described if all(name in answer for answer in answers)],
        "properties": described,
        "additionalProperties": False,
    }


def problem_schema(name: str, those: list[Any]) -> dict[str, Any]:
    """Describe the documents of some refusals (RFC 9457); every member is closed but for words and ids."""
    ProblemError = import_module("cmpassport.problems").ProblemError  # noqa: N806 - the class
    FieldError = import_module("cmpassport.problems").FieldError  # noqa: N806 - the class
    documents = [ProblemError(problem, "detail").document("id") for problem in those]
    schema = answer_schema([documents[0]])
    for closed in ("type", "title", "status", "code", "action"):
        values = list(dict.fromkeys(document[closed] for document in documents))
        schema["properties"][closed] = {"enum": values}
    if any(problem.name == "INVALID_REQUEST" for problem in those):
        full = ProblemError(those[0], "detail", errors=[FieldError("field", "reason")]).document("id")
        error = answer_schema([full["errors"][0]])
        error["properties"]["field"] = {"enum": ["", *members(name)[1]]}
        schema["properties"]["errors"] = {"type": "array", "minItems": 1, "items": error}
    if name == "verify" and any(problem in platforms_own() for problem in those):
        pattern = import_module("verify.message")._RESULT_CODE.pattern  # noqa: SLF001 - as above
        schema["properties"]["resultCode"] = {"type": "string", "pattern": f"^{pattern}$"}
    return schema


def platforms_own() -> set[Any]:
    """Give the refusals that the platform's return codes amount to."""
    codes = import_module("verify.codes")
    return {code.problem for code in codes._KNOWN.values()} - {None}  # noqa: SLF001 - as above


def responses(name: str, success: Mapping[str, Any], refusals: Iterable[Any]) -> dict[str, Any]:
    """Describe an operation's answers by status."""
    by_status = defaultdict(list)
    for problem in refusals:
        by_status[problem.status].append(problem)
    described: dict[str, Any] = {
        "200": {
            "description": "Signed" if name == "presign" else "A verdict; `action` is login or refuse",
            "headers": _NOT_STORED,
            "content": {"application/json": {"schema": success}},
        }
    }
    for status in sorted({*by_status, HTTPStatus.TOO_MANY_REQUESTS}):
        those = by_status[status]
        refusal = {"application/problem+json": {"schema": problem_schema(name, those)}} if those else {}
        gateways = _THROTTLED if status is HTTPStatus.TOO_MANY_REQUESTS else {}
        words = [problem.title for problem in those] + ["The gateway's own throttle"] * bool(gateways)
        described[str(status.value)] = {
            "description": "; ".join(words),
            "headers": {**(_NOT_STORED if those else {}), **(_RETRY_AFTER if status in _MAY_WAIT else {})},
            "content": {**refusal, **gateways},
        }
    return described


_NOT_STORED: Final = {"Cache-Control": {"schema": {"type": "string"}, "example": "no-store"}}
_RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
_MAY_WAIT: Final = (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_THROTTLED: Final = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["message"],
            "properties": {"message": {"type": "string"}},
            "additionalProperties": False,
        }
    }
}


def operation(name: str, success: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one operation."""
    required, known = members(name)
    return {
        "operationId": name,
        "summary": SUMMARIES[name],
        "parameters": [
            {
                "name": "Origin",
                "in": "header",
                "required": True,
                "description": "One of the allowed origins; browsers send it",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {
            "required": True,
            "description": f"At most {import_module('cmpassport.http').MAX_BODY_BYTES} bytes of UTF-8",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": required,
                        "properties": {member: text_of(member) for member in known},
                        "additionalProperties": False,
                    }
                }
            },
        },
        "responses": responses(name, success, problems(name)),
    }


def publication(name: str) -> dict[str, Any]:
    """Describe an operation that gives a public document."""
    app = function(name)
    with (
        patch.object(app, "_keys", Published(receipt_keys().public_set())),
        redirect_stdout(io.StringIO()),
    ):
        answer = app.handler({}, None)
    (key,) = json.loads(answer["body"])["keys"]
    keys = {"type": "array", "minItems": 1, "items": answer_schema([key], ("kty", "crv", "use", "alg"))}
    headers = answer["headers"]
    document = {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": keys},
        "additionalProperties": False,
    }
    cached = {"Cache-Control": {"schema": {"type": "string"}, "example": headers["Cache-Control"]}}
    given = {
        "description": "A JWK Set, which may be kept",
        "headers": cached,
        "content": {headers["Content-Type"]: {"schema": document}},
    }
    # Whoever asks is answered: no request of its own can be at fault.
    internal_error = import_module("cmpassport.problems").Problem.INTERNAL_ERROR
    answers = {**responses(name, {}, [internal_error]), "200": given}
    return {"operationId": name, "summary": SUMMARIES[name], "responses": answers}


@dataclass(frozen=True, slots=True)
class Published:
    """A secret that is there."""

    value: Mapping[str, Any]

    def get(self) -> Mapping[str, Any]:
        return self.value


def describe() -> dict[str, Any]:
    """Describe the whole API."""
    template = Template.read(ROOT / "template.yaml").document["Resources"]
    paths = {}
    for resource in template.values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            name = resource["Properties"]["Handler"].partition(".")[0]
            method = event["Properties"]["Method"].lower()
            if method == "get":
                paths[event["Properties"]["Path"]] = {method: publication(name)}
                continue
            success = (
                answer_schema([{"sign": ""}])
                if name == "presign"
                else answer_schema(verdicts(), ("verified", "resultCode", "action"))
            )
            paths[event["Properties"]["Path"]] = {method: operation(name, success)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "H5 number verification",
            "version": "1",
            "description": "Made from the code by `make openapi`. In words: docs/api.md.",
        },
        "paths": paths,
    }


def written() -> str:
    """Give the description as it is committed."""
    return json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else DESCRIPTION).write_text(written())
