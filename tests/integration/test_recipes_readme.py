"""The examples in the recipes' README are tried, not just printed."""

import json
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import flask
import pytest

from recipes.python.number_verification_receipts import ReceiptError, ReceiptVerifier
from tests.support.receipts import Genuine, Issuer, JwksServer, jwks_server, new_key, number_claim
from tests.support.recipes import RECIPES, go, jars, program, skipping_without_parts

EXAMPLES: Final = {
    language: re.findall(rf"```{language}\n(.*?)```", (RECIPES / "README.md").read_text(), re.DOTALL)
    for language in ("python", "js", "java", "go")
}
JWKS: Final = "https://api.example.com/.well-known/jwks.json"


def test_both_languages_show_the_same_code() -> None:
    chinese = (RECIPES / "README.zh-CN.md").read_text()

    assert [language for language, blocks in EXAMPLES.items() if len(blocks) != 1] == []
    for language, (block,) in EXAMPLES.items():
        assert f"```{language}\n{block}```" in chinese, language


def test_the_versions_named_are_those_tried() -> None:
    lock = json.loads((RECIPES / "node/package-lock.json").read_text())
    pom = (RECIPES / "java/pom.xml").read_text()
    tried = {
        "joserfc": metadata.version("joserfc"),
        "jose": lock["packages"]["node_modules/jose"]["version"],
        "jose4j": re.findall(r"<version>([\d.]+)</version>", pom)[1],
    }

    for page in ("README.md", "README.zh-CN.md"):
        named = dict(re.findall(r"\[(\w+)\]\(http[^)]+\) ([\d.]+) \|", (RECIPES / page).read_text()))
        assert named.keys() == tried.keys()
        for library, version in named.items():
            assert f"{tried[library]}.".startswith(f"{version}."), library
    assert "require" not in (RECIPES / "go/go.mod").read_text()


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks_server() as server:
        yield server


@pytest.fixture
def client(server: JwksServer) -> Any:
    """A browser at the example for Flask."""
    app = flask.Flask("business")
    app.secret_key = "only a test"
    code = EXAMPLES["python"][0].replace(JWKS, server.url)
    names = {
        "app": app,
        "session": flask.session,
        "request": flask.request,
        "secrets": __import__("secrets"),
        "ReceiptVerifier": ReceiptVerifier,
        "ReceiptError": ReceiptError,
    }
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - what the page prints
    return app.test_client()


def asked_for(issuer: Issuer, nonce: str) -> str:
    good = issuer.genuine()
    return Genuine(good.receipt, good.key).forged(claims={"nonce": nonce})


def test_the_example_logs_in_by_a_receipt_for_its_nonce_and_by_none_else(
    client: Any, server: JwksServer
) -> None:
    issuer = Issuer(server.issuer)
    server.body = issuer.jwks()

    nonce = client.post("/business/nonce").json["nonce"]
    receipt = asked_for(issuer, nonce)
    answer = client.post("/business/login", json={"receipt": receipt})
    again = client.post("/business/login", json={"receipt": receipt})
    client.post("/business/nonce")
    other = client.post("/business/login", json={"receipt": asked_for(issuer, nonce)})

    assert (answer.status_code, answer.json) == (200, number_claim("hash"))
    assert (again.status_code, again.json) == (401, {"code": "wrong_nonce"})
    assert (other.status_code, other.json) == (401, {"code": "wrong_nonce"})


def test_the_example_says_that_it_cannot_tell_while_there_are_no_keys(
    client: Any, server: JwksServer
) -> None:
    receipt = asked_for(Issuer(server.issuer, [new_key()]), client.post("/business/nonce").json["nonce"])

    answer = client.post("/business/login", json={"receipt": receipt})

    assert (answer.status_code, answer.json) == (503, {"code": "keys_unavailable"})


def test_the_example_for_node_parses(tmp_path: Path) -> None:
    with skipping_without_parts():
        node = program("node", "Node.js 20 or newer (Debian: nodejs)")
    module = tmp_path / "example.mjs"
    module.write_text(EXAMPLES["js"][0])

    subprocess.run([node, "--check", str(module)], check=True)


STUBS: Final = """
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import numberverification.ReceiptVerifier;
import numberverification.ReceiptVerifier.Reason;
import numberverification.ReceiptVerifier.ReceiptException;

@interface PostMapping { String value(); }
@interface RequestBody {}
interface HttpSession {
    Object getAttribute(String name);
    void setAttribute(String name, Object value);
    void removeAttribute(String name);
}
class ResponseEntity<T> {
    interface Builder { <T> ResponseEntity<T> body(T body); }
    static native <T> ResponseEntity<T> ok(T body);
    static native Builder status(int status);
}
class Example {
    private final SecureRandom random = new SecureRandom();
"""


def test_the_example_for_java_compiles(tmp_path: Path) -> None:
    with skipping_without_parts():
        javac = program("javac", "a JDK of version 17 or newer (Debian: default-jdk-headless)")
        path = ":".join(map(str, jars()))
    source = tmp_path / "Example.java"
    source.write_text(STUBS + EXAMPLES["java"][0] + "}\n")
    recipe = RECIPES / "java/src/main/java/numberverification/ReceiptVerifier.java"

    subprocess.run(
        [javac, "-Xlint:all", "-Werror", "-classpath", path, "-d", str(tmp_path), str(recipe), str(source)],
        check=True,
    )


GO: Final = """package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"

	"numberverification"
)

var sessions interface {
	TakeNonce(*http.Request) string
	LogIn(http.ResponseWriter, *http.Request, string)
}

func main() {
"""


def test_the_example_for_go_compiles(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "go.mod").write_text("module example\n\ngo 1.19\n")
    (folder / "main.go").write_text(GO + EXAMPLES["go"][0] + "}\n")

    with skipping_without_parts():
        go("vet", ".", at=folder, folder=tmp_path)
