"""The recipes for back ends: all four accept what is good, and refuse every attack for the same reason."""

import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any, Final

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from local import ROOT
from tests.support.attacks import ATTACKS
from tests.support.receipts import (
    AUDIENCE,
    HASH_KEY,
    LEEWAY,
    LIFE,
    MASKED,
    NONCE,
    NUMBER,
    PATH,
    TYPE,
    Attempt,
    Genuine,
    Issuer,
    JwksServer,
    b64,
    business_key,
    encrypted,
    json_text,
    jwks_server,
    malleated,
    new_key,
    number_claim,
    pem,
    public_jwk,
    send,
    stranger_key,
)
from tests.support.recipes import LANGUAGES, RECIPES, Driver, Verifier, go, program, skipping_without_parts

FORMS: Final = ("hash", "masked", "encrypted")
REASONS: Final = {attack.reason for attack in ATTACKS.values()} | {"replayed", "keys_unavailable"}
CACHE: Final = 300
REFETCH: Final = 10
STALE: Final = 3600


@pytest.fixture(scope="module", params=LANGUAGES)
def recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Each language's recipe in turn."""
    folder = tmp_path_factory.mktemp(request.param)
    with skipping_without_parts(), LANGUAGES[request.param](folder) as driver:
        yield driver


@pytest.fixture(scope="module")
def server_of_all() -> Iterator[JwksServer]:
    with jwks_server() as server:
        yield server


@pytest.fixture
def server(server_of_all: JwksServer) -> JwksServer:
    """A server that has answered nobody yet."""
    server_of_all.asked.clear()
    server_of_all.answer = None
    return server_of_all


@pytest.fixture
def issuer(server: JwksServer) -> Issuer:
    """An issuer whose keys are published."""
    issuer = Issuer(server.issuer)
    server.body = issuer.jwks()
    return issuer


@pytest.fixture
def good(issuer: Issuer) -> Genuine:
    return issuer.genuine()


@pytest.fixture
def verifier(recipe: Driver, server: JwksServer) -> Verifier:
    return recipe.new(server.url)


def reason(answer: dict[str, Any]) -> Any:
    """Why it was refused; None where it was not."""
    assert ("claims" in answer) != ("reason" in answer), answer
    return answer.get("reason")


# What is good.


@pytest.mark.parametrize("form", FORMS)
def test_a_good_receipt_is_accepted_with_its_number(verifier: Verifier, issuer: Issuer, form: str) -> None:
    good = issuer.genuine(form)

    claims = verifier.verify(good.attempt())["claims"]

    told = {"phoneNum": NUMBER} if form == "encrypted" else number_claim(form)
    names = ("jti", "appId", "taskId", "aud", "iat", "exp")
    assert claims == {**{name: good.claims[name] for name in names}, **told}


@pytest.mark.parametrize("at", [-LEEWAY, 0, LIFE, LIFE + LEEWAY - 0.5])
def test_it_is_good_from_its_first_second_to_its_last(verifier: Verifier, good: Genuine, at: float) -> None:
    attempt = Attempt(good.receipt, good.nonce, good.claims["iat"] + at)

    assert reason(verifier.verify(attempt)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": lambda claims: claims["iat"] + 600},
        {"more": {"of": ["what", "is", "not", "known"]}},
        {"more": "A" * 5000},
        {"jti": "A" * 64},
        {"jti": "Az09._-"},
    ],
    ids=["a life of ten minutes", "an unknown claim", "almost 8 KiB", "a long jti", "a short jti"],
)
def test_unusual_receipts_are_accepted(verifier: Verifier, good: Genuine, changes: dict[str, Any]) -> None:
    assert reason(verifier.verify(good.attempt(good.forged(claims=changes)))) is None


def test_a_receipt_without_taskid_is_accepted(verifier: Verifier, good: Genuine) -> None:
    claims = {name: value for name, value in good.claims.items() if name != "taskId"}
    receipt = Genuine(joserfc_jwt.encode(good.header, claims, good.key, algorithms=["ES256"]), good.key)

    assert "taskId" not in verifier.verify(receipt.attempt())["claims"]


def test_each_of_several_pages_is_served(recipe: Driver, server: JwksServer, issuer: Issuer) -> None:
    pages = ("https://m.abc.com", AUDIENCE)

    verifier = recipe.new(server.url, audiences=pages)

    for page in pages:
        good = issuer.genuine()
        assert verifier.verify(good.attempt(good.forged(claims={"aud": page})))["claims"]["aud"] == page


def test_without_a_nonce_a_receipt_that_has_none_is_accepted(verifier: Verifier, good: Genuine) -> None:
    claims = {name: value for name, value in good.claims.items() if name != "nonce"}
    receipt = joserfc_jwt.encode(good.header, claims, good.key, algorithms=["ES256"])

    assert reason(verifier.verify_without_nonce(receipt, good.at)) is None
    assert reason(verifier.verify_without_nonce(receipt, good.at)) == "replayed"


def test_without_a_nonce_a_receipt_for_another_login_is_refused(verifier: Verifier, good: Genuine) -> None:
    assert reason(verifier.verify_without_nonce(good.receipt, good.at)) == "wrong_nonce"


def test_the_hash_is_compared_with_a_number(recipe: Driver) -> None:
    expected = number_claim("hash")["phoneNumHash"]

    assert recipe.ask(do="hash", number=NUMBER, key=HASH_KEY)["hash"] == expected
    for number, key, same in (
        (NUMBER, HASH_KEY, True),
        (NUMBER[:-1] + "9", HASH_KEY, False),
        (NUMBER, HASH_KEY[:-1], False),
    ):
        assert recipe.ask(do="is", hash=expected, number=number, key=key)["is"] is same
    assert recipe.ask(do="is", hash="", number=NUMBER, key=HASH_KEY)["is"] is False


def test_while_the_business_changes_its_key_both_decrypt(
    recipe: Driver, server: JwksServer, issuer: Issuer
) -> None:
    before, after = business_key(), stranger_key()
    verifier = recipe.new(server.url, keys=[pem(after), pem(before)])

    for key in (before, after):
        good = issuer.genuine("encrypted")
        receipt = good.forged(claims={"phoneNumJwe": encrypted(NUMBER, key)})
        assert verifier.verify(good.attempt(receipt))["claims"]["phoneNum"] == NUMBER


def test_a_back_end_without_a_key_decrypts_nothing(
    recipe: Driver, server: JwksServer, issuer: Issuer
) -> None:
    verifier = recipe.new(server.url, keys=[])

    assert reason(verifier.verify(issuer.genuine("encrypted").attempt())) == "number_undecipherable"
    assert reason(verifier.verify(issuer.genuine("masked").attempt())) is None


# Attacks.


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_for_its_reason_and_uses_nothing_up(
    verifier: Verifier, server: JwksServer, good: Genuine, name: str
) -> None:
    attempt = ATTACKS[name].make(good)

    answer = verifier.verify(attempt)

    assert reason(answer) == ATTACKS[name].reason
    assert answer["text"] == ATTACKS[name].reason
    assert set(server.asked) <= {PATH}
    assert len(server.asked) <= 1
    assert reason(verifier.verify(good.attempt())) is None


def test_a_header_that_says_a_thing_twice_is_refused(verifier: Verifier, good: Genuine) -> None:
    _, payload, signature = good.receipt.split(".")
    for first, last in product(("none", "ES256", "HS256"), repeat=2):
        header = json_text(good.header).replace('"alg":"ES256"', f'"alg":"{first}","alg":"{last}"')
        receipt = f"{b64(header.encode())}.{payload}.{signature}"

        # A parser may refuse it, or take the last (RFC 7515, section 4), but nothing else.
        taken = "bad_signature" if last == "ES256" else "wrong_algorithm"
        assert reason(verifier.verify(good.attempt(receipt))) in {taken, "malformed"}


def test_no_error_quotes_the_receipt(verifier: Verifier, good: Genuine) -> None:
    for attack in ATTACKS.values():
        answer = verifier.verify(attack.make(good))

        shown = answer["text"] + answer["shown"]
        secrets = [*(attack.make(good).receipt or "").split("."), NUMBER, MASKED, NONCE]
        assert not [secret for secret in secrets if len(secret) > 8 and secret in shown]


@pytest.mark.parametrize("form", FORMS)
def test_claims_that_are_logged_tell_no_number(verifier: Verifier, issuer: Issuer, form: str) -> None:
    good = issuer.genuine(form)

    answer = verifier.verify(good.attempt())

    shown = answer.get("shown", good.claims["jti"])
    assert good.claims["jti"] in shown
    assert not [told for told in (NUMBER, MASKED, *number_claim(form).values()) if told in shown]


# Single use.


def test_a_receipt_is_good_once(verifier: Verifier, good: Genuine) -> None:
    assert reason(verifier.verify(good.attempt())) is None
    assert reason(verifier.verify(good.attempt())) == "replayed"
    last = Attempt(good.receipt, good.nonce, good.claims["exp"] + LEEWAY - 0.5)
    assert reason(verifier.verify(last)) == "replayed"


def test_the_other_signature_that_verifies_makes_no_other_receipt(verifier: Verifier, good: Genuine) -> None:
    other = malleated(good.receipt)
    assert other != good.receipt

    assert reason(verifier.verify(good.attempt(other))) is None
    assert reason(verifier.verify(good.attempt())) == "replayed"


def test_a_receipt_given_again_for_a_repeated_request_is_a_replay(
    verifier: Verifier, good: Genuine, issuer: Issuer
) -> None:
    again = good.forged()  # same claims, a new signature
    assert again != good.receipt

    assert reason(verifier.verify(good.attempt())) is None
    assert reason(verifier.verify(good.attempt(again))) == "replayed"
    assert reason(verifier.verify(issuer.genuine().attempt())) is None


def test_of_many_at_once_one_is_first(verifier: Verifier, server: JwksServer, good: Genuine) -> None:
    answers = [reason(answer) for answer in verifier.race([good.receipt] * 8, good.nonce, good.at)]

    assert sorted(answers, key=str) == [None, *["replayed"] * 7]
    assert server.asked == [PATH]  # and one of them fetched the keys for all


def test_many_different_ones_at_once_are_all_accepted(verifier: Verifier, issuer: Issuer) -> None:
    many = [issuer.genuine() for _ in range(8)]

    answers = verifier.race([good.receipt for good in many], NONCE, many[0].at)

    assert [answer["claims"]["jti"] for answer in answers] == [good.claims["jti"] for good in many]


def test_a_store_of_ones_own_is_told_until_when_and_has_the_last_word(
    recipe: Driver, server: JwksServer, good: Genuine
) -> None:
    verifier = recipe.new_with_full_store(server.url)
    until = good.claims["exp"] + LEEWAY

    seen = good.forged(claims={"jti": f"seen-until-{until}"})
    unseen = good.forged(claims={"jti": f"seen-until-{until + 1}"})

    assert reason(verifier.verify(good.attempt(seen))) == "replayed"
    assert reason(verifier.verify(good.attempt(unseen))) is None
    assert verifier.verify(good.attempt()) == {"failed": True}  # nobody is logged in


SHOWN: Final = {
    "python": (
        "python/number_verification_receipts.py",
        r"ex=(.+)\)\)$",
        [sys.executable, "life.py"],
        """import time
until = int(time.time()) + 5
life = {life}
print(life, until - time.time())
""",
    ),
    "node": (
        "node/number-verification-receipts.js",
        r"const EX = (.+);$",
        ["node", "life.mjs"],
        """const until = Math.floor(Date.now() / 1000) + 5;
const life = {life};
console.log(life, until - Date.now() / 1000);
""",
    ),
    "java": (
        "java/src/main/java/numberverification/ReceiptVerifier.java",
        r"var life = (.+);",
        ["java", "Life.java"],
        """import java.time.*;
class Life {{
    public static void main(String[] arguments) {{
        var until = Instant.ofEpochSecond(Instant.now().getEpochSecond() + 5);
        var life = {life};
        System.out.println(life + " " + Duration.between(Instant.now(), until).toNanos() / 1e9);
    }}
}}
""",
    ),
    "go": (
        "go/receipts.go",
        r"life := (.+?) //",
        ["go", "run", "life.go"],
        """package main
import ("fmt"; "time")
func main() {{
    until := time.Unix(time.Now().Unix() + 5, 0)
    life := {life}
    fmt.Println(life.Truncate(time.Millisecond).Seconds(), time.Until(until).Seconds())
}}
""",
    ),
}
"""How each comment reckons what Redis keeps a receipt for, and a program that reckons it."""


@pytest.mark.parametrize("language", SHOWN)
def test_redis_as_the_comment_has_it_forgets_no_receipt_while_it_is_good(
    language: str, tmp_path: Path
) -> None:
    file, pattern, command, text = SHOWN[language]
    shown = re.search(pattern, (RECIPES / file).read_text(), re.MULTILINE)
    assert shown
    (tmp_path / command[-1]).write_text(text.format(life=shown[1]))
    with skipping_without_parts():
        command = [program(command[0], f"as for the recipe in {language}"), *command[1:]]

    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    kept, good_for = map(float, said.split())
    assert good_for <= kept <= good_for + 2


# The keys.


def test_keys_are_fetched_every_five_minutes(verifier: Verifier, server: JwksServer, issuer: Issuer) -> None:
    start = int(time.time())

    for after, fetched in ((0, 1), (1, 1), (CACHE - 1, 1), (CACHE, 2), (2 * CACHE - 1, 2), (2 * CACHE, 3)):
        good = issuer.genuine(at=start + after)
        answer = verifier.verify(Attempt(good.receipt, good.nonce, start + after))
        assert (reason(answer), len(server.asked)) == (None, fetched)


def test_a_new_key_is_found_at_once_and_a_flood_of_unknown_ones_is_not_asked_for(
    verifier: Verifier, server: JwksServer, issuer: Issuer
) -> None:
    start = int(time.time())
    first = issuer.genuine(at=start)
    assert reason(verifier.verify(Attempt(first.receipt, NONCE, start))) is None
    issuer.keys.append(new_key())
    server.body = issuer.jwks()

    new = issuer.genuine(key=issuer.keys[1], at=start)
    soon = verifier.verify(Attempt(new.receipt, NONCE, start + REFETCH - 1))
    then = verifier.verify(Attempt(new.receipt, NONCE, start + REFETCH))
    for _ in range(20):
        unknown = issuer.genuine(key=new_key(), at=start)
        answer = verifier.verify(Attempt(unknown.receipt, NONCE, start + 2 * REFETCH - 1))
        assert reason(answer) == "unknown_key"

    assert (reason(soon), reason(then)) == ("unknown_key", None)
    assert len(server.asked) == 2


def test_a_rotation_leaves_no_gap(verifier: Verifier, server: JwksServer, issuer: Issuer) -> None:
    old, new = issuer.keys[0], new_key()
    start = int(time.time())

    def accepted(key: ECKey, at: int) -> bool:
        good = issuer.genuine(key=key, at=at)
        return reason(verifier.verify(Attempt(good.receipt, NONCE, at))) is None

    assert accepted(old, start)
    issuer.keys[:] = [old, new]  # published, an hour before it signs
    server.body = issuer.jwks()
    for minute in range(0, 60, 4):
        assert accepted(old, start + 60 * minute)
    for minute in range(60, 90, 4):
        assert accepted(new, start + 60 * minute)
    issuer.keys[:] = [new]  # dropped with a later rotation
    server.body = issuer.jwks()
    assert accepted(new, start + 6000)
    assert not accepted(old, start + 6001)


def test_while_the_address_fails_known_keys_serve_for_an_hour(
    verifier: Verifier, server: JwksServer, issuer: Issuer
) -> None:
    start = int(time.time())

    def tried(after: int, key: ECKey | None = None) -> Any:
        good = issuer.genuine(key=key, at=start + after)
        return reason(verifier.verify(Attempt(good.receipt, NONCE, start + after)))

    assert tried(0) is None
    server.answer = lambda _, handler: send(handler, 503, b"")

    assert [tried(after) for after in (CACHE, 1800, STALE - 1)] == [None] * 3
    assert tried(STALE - 1, new_key()) == "keys_unavailable"  # whether it is published nobody knows
    assert tried(STALE) == "keys_unavailable"
    server.answer = None
    assert tried(STALE + 5) == "keys_unavailable"  # not asked again so soon
    assert tried(STALE + REFETCH) is None


def test_a_clock_that_was_set_back_has_the_keys_fetched_again(
    verifier: Verifier, server: JwksServer, issuer: Issuer
) -> None:
    start = int(time.time())
    for at in (start + 86400, start):
        good = issuer.genuine(at=at)
        assert reason(verifier.verify(Attempt(good.receipt, NONCE, at))) is None

    assert len(server.asked) == 2


def test_without_anybody_who_listens_there_are_no_keys(recipe: Driver) -> None:
    with jwks_server() as gone:
        pass
    good = Issuer(gone.issuer).genuine()

    assert reason(recipe.new(gone.url).verify(good.attempt())) == "keys_unavailable"


def _elsewhere(server: JwksServer, handler: BaseHTTPRequestHandler) -> None:
    if handler.path == PATH:
        send(handler, 302, b"", Location="/elsewhere")
    else:
        send(handler, 200, server.body)


HTML: Final = b"<!doctype html><title>Welcome to our Wi-Fi</title>"
BAD_ANSWERS: Final = {
    "redirected": _elsewhere,
    "not found": lambda server, handler: send(handler, 404, server.body),
    "failed": lambda server, handler: send(handler, 500, server.body),
    "another success": lambda server, handler: send(handler, 203, server.body),
    "too long": lambda server, handler: send(handler, 200, server.body + b" " * 65536),
    "empty": lambda _, handler: send(handler, 200, b""),
    "a page": lambda _, handler: send(handler, 200, HTML),
    "cut off": lambda server, handler: send(handler, 200, server.body[:-2]),
    "nested deeply": lambda _, handler: send(handler, 200, b"[" * 60000),
    "no keys": lambda _, handler: send(handler, 200, b'{"keys":[]}'),
    "keys no list": lambda _, handler: send(handler, 200, b'{"keys":{"a":1}}'),
    "keys by another name": lambda server, handler: send(
        handler, 200, server.body.replace(b'"keys"', b'"Keys"')
    ),
    "in UTF-16": lambda server, handler: send(handler, 200, server.body.decode().encode("utf-16")),
    "with a byte order mark": lambda server, handler: send(handler, 200, b"\xef\xbb\xbf" + server.body),
    "with a byte of Latin-1": lambda server, handler: send(
        handler, 200, server.body[:-1] + b',"more":"\xe9"}'
    ),
    "with NaN": lambda server, handler: send(handler, 200, server.body[:-1] + b',"more":NaN}'),
    "keys null": lambda _, handler: send(handler, 200, b'{"keys":null}'),
    "no object": lambda server, handler: send(handler, 200, b"[" + server.body + b"]"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_brings_no_keys(
    verifier: Verifier, server: JwksServer, good: Genuine, name: str
) -> None:
    server.answer = BAD_ANSWERS[name]

    assert reason(verifier.verify(good.attempt())) == "keys_unavailable"
    assert server.asked == [PATH]


DRIPS: Final = {
    "header": (b"HTTP/1.1 200 OK\r\nX-Padding: ", b"a", b"\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b" ", b""),
}


@pytest.mark.parametrize("part", DRIPS)
def test_an_answer_that_drips_is_given_up_though_it_would_be_good(
    verifier: Verifier, server: JwksServer, good: Genuine, part: str
) -> None:
    left = Event()

    def drip(server: JwksServer, handler: BaseHTTPRequestHandler) -> None:
        before, byte, after = DRIPS[part]
        handler.wfile.write(before)
        for _ in range(100):
            if select.select([handler.connection], [], [], 0.1)[0]:  # it sends no more, so it has closed
                left.set()
                return
            handler.wfile.write(byte)
        handler.wfile.write(after + server.body)

    server.answer = drip

    assert reason(verifier.verify(good.attempt())) == "keys_unavailable"
    assert left.wait(10)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_proxy_of_the_environment_is_asked(
    language: str,
    server: JwksServer,
    good: Genuine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NODE_USE_ENV_PROXY", "1")
        of_java = [f"-D{name}.proxyHost=127.0.0.1 -D{name}.proxyPort={port}" for name in ("http", "https")]
        monkeypatch.setenv("JDK_JAVA_OPTIONS", " ".join([*of_java, "-Dhttp.nonProxyHosts=nobody"]))

        with skipping_without_parts(), LANGUAGES[language](tmp_path) as driver:
            on_loopback = driver.new(server.url).verify(good.attempt())
            # A proxy would be asked for it: by themselves they cannot find what has no such name (RFC 6761).
            elsewhere = driver.new(f"https://api.invalid{PATH}").verify(good.attempt())

        assert (reason(on_loopback), reason(elsewhere)) == (None, "keys_unavailable")
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def _unfit(key: ECKey, **changes: Any) -> dict[str, Any]:
    return {**public_jwk(key), **changes}


def _rsa(kid: str) -> dict[str, Any]:
    key = RSAKey.import_key(stranger_key().as_dict(private=False))
    return {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "RS256"}


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": None},
        {"alg": "ES384"},
        {"alg": None},
        {"crv": "secp256k1"},
        {"crv": "P-384"},
        {"kty": "oct"},
        {"x": 1},
        {"y": None},
        {"y": b64(bytes(32))},
        {"y": b64(bytes(33))},
        {"y": b64(b"\xff" * 33)},
        {"y": b64(b"\xff" * 32)},
        {"y": ""},
        {"y": "+" * 43},
        {"kid": "other"},
        {"kid": 1},
    ],
    ids=str,
)
def test_only_keys_for_es256_signatures_are_taken(
    verifier: Verifier, server: JwksServer, good: Genuine, changes: dict[str, Any]
) -> None:
    keys: list[Any] = [None, "key", 1, [], {}, _unfit(good.key, **changes), public_jwk(new_key())]
    server.body = json_text({"keys": keys}).encode()

    assert reason(verifier.verify(good.attempt())) == "unknown_key"


def test_an_rsa_key_under_the_kid_is_none(verifier: Verifier, server: JwksServer, good: Genuine) -> None:
    keys = [_rsa(good.header["kid"]), public_jwk(new_key())]
    server.body = json_text({"keys": keys}).encode()

    assert reason(verifier.verify(good.attempt())) == "unknown_key"


def test_a_point_off_the_curve_takes_no_keys_place(
    verifier: Verifier, server: JwksServer, good: Genuine
) -> None:
    off = _unfit(good.key, y=public_jwk(new_key())["y"])
    server.body = json_text({"keys": [public_jwk(good.key), off]}).encode()

    assert reason(verifier.verify(good.attempt())) is None


def test_keys_of_other_kinds_beside_it_do_no_harm(
    verifier: Verifier, server: JwksServer, good: Genuine
) -> None:
    server.body = json_text({"keys": [_rsa("rsa"), {"kty": "new"}, public_jwk(good.key)]}).encode()

    assert reason(verifier.verify(good.attempt())) is None


# What it is made with.


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://api.example.com/.well-known/jwks.json",
        "http://127.0.0.1.example.com/.well-known/jwks.json",
        "http://localhost:1@example.com/.well-known/jwks.json",
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/jwks.json",
        "https://api.example.com/.well-known/jwks.json?x=1",
        "https://api.example.com/.well-known/jwks.json#x",
        "https://api.example.com/.well-known/jwks.json\n",
        "https://user:secret@api.example.com/.well-known/jwks.json",
        "https:///.well-known/jwks.json",
        "file:///etc/.well-known/jwks.json",
        "ftp://api.example.com/.well-known/jwks.json",
        " https://api.example.com/.well-known/jwks.json",
    ],
)
def test_an_address_that_others_could_answer_for_is_refused(recipe: Driver, address: str) -> None:
    refusal = recipe.unusable(address)

    assert refusal is not None
    assert "https://HOST/.well-known/jwks.json" in refusal


@pytest.mark.parametrize(
    "address",
    [
        "https://api.example.com/.well-known/jwks.json",
        "https://api.example.com:8443/prod/.well-known/jwks.json",
        "http://127.0.0.1:3000/.well-known/jwks.json",
        "http://localhost/.well-known/jwks.json",
        "http://[::1]:3000/.well-known/jwks.json",
    ],
)
def test_an_address_over_tls_or_on_this_machine_will_do(recipe: Driver, address: str) -> None:
    assert recipe.unusable(address) is None


def test_a_page_must_be_named(recipe: Driver) -> None:
    assert "origin" in (recipe.unusable("https://api.example.com" + PATH, audiences=()) or "")


def test_what_is_no_private_key_is_refused_at_once(recipe: Driver) -> None:
    url = "https://api.example.com" + PATH
    public = business_key().as_pem(private=False).decode()
    curve = new_key().as_pem(private=True).decode()

    for key in ("words", public, curve, pem(business_key())[:200]):
        refusal = recipe.unusable(url, keys=[key])
        assert refusal is not None
        assert "is not the PEM of an RSA private key" in refusal


# The libraries by themselves, with nothing but the address of the keys.


def test_pyjwt_accepts_a_receipt(server: JwksServer, good: Genuine) -> None:
    key = jwt.PyJWKClient(server.url).get_signing_key_from_jwt(good.receipt)

    claims = jwt.decode(good.receipt, key, algorithms=["ES256"], audience=AUDIENCE, issuer=server.issuer)

    assert claims == good.claims
    assert jwt.get_unverified_header(good.receipt)["typ"] == TYPE


def test_joserfc_accepts_a_receipt(server: JwksServer, good: Genuine) -> None:
    keys = KeySet.import_key_set(json.loads(server.body))

    token = joserfc_jwt.decode(good.receipt, keys, algorithms=["ES256"])

    assert token.claims == good.claims


@pytest.mark.parametrize("recipe", ["node", "java"], indirect=True)
def test_their_libraries_accept_a_receipt(recipe: Driver, server: JwksServer, good: Genuine) -> None:
    answer = recipe.ask(
        do="library", jwks=server.url, receipt=good.receipt, issuer=server.issuer, audience=AUDIENCE
    )

    assert answer["claims"] == good.claims


# The files.


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("python/number_verification_receipts.py", ' = "name"\n'),
        ("node/number-verification-receipts.js", "'name'"),
        ("java/src/main/java/numberverification/ReceiptVerifier.java", "        NAME"),
        ("go/receipts.go", ' Reason = "name"\n'),
        ("README.md", "\n| `name` | "),
        ("README.zh-CN.md", "\n| `name` | "),
    ],
)
def test_the_reasons_are_the_same_in_every_language_and_explained(file: str, written: str) -> None:
    text = (RECIPES / file).read_text()

    places = {name: written.replace("name", name).replace("NAME", name.upper()) for name in REASONS}

    assert [name for name, place in places.items() if place not in text] == []
    if file.startswith("README"):
        table = text.rpartition("\n|---|---|---|")[2]
        assert table.count("\n| `") == len(REASONS)


def test_go_has_nothing_to_object(tmp_path: Path) -> None:
    with skipping_without_parts():
        for folder in (RECIPES / "go", ROOT / "tests" / "recipes" / "go"):
            go("vet", ".", at=folder, folder=tmp_path)
            unformatted = subprocess.check_output(["gofmt", "-l", "."], cwd=folder, text=True)
            assert unformatted == ""
