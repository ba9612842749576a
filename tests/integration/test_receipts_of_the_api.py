"""Receipts that the API makes, checked by every recipe and by libraries that know the JWKS address alone."""

import base64
import itertools
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, KeySet

from local.environment import Environment, Function, WorkerEnvironment
from local.keys import ReceiptNumber
from local.stack import Options, Stack
from tests.support.attacks import ATTACKS
from tests.support.phone import Phone, Ticket
from tests.support.planted import leaks, plant
from tests.support.receipt_secrets import bare, new_key
from tests.support.receipts import Attempt, Genuine
from tests.support.recipes import LANGUAGES, Driver, Verifier, skipping_without_parts
from tests.support.stacks import client_of, phone_of, start

T = TypeVar("T")

PATH: Final = "/.well-known/jwks.json"
LIFE: Final = 120
MAX_AGE: Final = 10
"""Seconds for which functions keep a secret: the least that the template allows."""


class Api:
    """A stack with receipts, and what its back end and its page do."""

    def __init__(self, stack: Stack, log: Path) -> None:
        self.stack = stack
        self.log = log
        self.jwks = stack.api + PATH
        self._sims = (f"136{count:08d}" for count in itertools.count(12340000))
        self.phone = self.another_phone()

    def another_phone(self) -> Phone:
        """Take another phone: the platform verifies a number ten times a day."""
        self.phone = phone_of(self.stack, sim=next(self._sims))
        return self.phone

    def receipt(self, nonce: str, ticket: Ticket | None = None) -> Genuine:
        """Have a phone's own number verified."""
        phone = self.phone if ticket else self.another_phone()
        body = phone.verify(phone.sim, ticket or phone.ticket(), nonce=nonce).json
        receipt: str = body["receipt"]
        plant(nonce, receipt, *receipt.split("."))
        return Genuine(receipt, self.signing_key(), nonce)

    def signing_key(self) -> ECKey:
        """Give the key that signs."""
        der = base64.b64decode(self.secret()["keys"][0]["privateKey"])
        key = load_der_private_key(der, None)
        assert isinstance(key, EllipticCurvePrivateKey)
        return ECKey.import_key(key)

    def secret(self) -> dict[str, Any]:
        """Read the receipt secret."""
        secret = client_of(self.stack, "secretsmanager").get_secret_value(SecretId=self._secret_id)
        content: dict[str, Any] = json.loads(secret["SecretString"])
        return content

    def put_secret(self, content: dict[str, Any]) -> None:
        """Replace the receipt secret."""
        client_of(self.stack, "secretsmanager").put_secret_value(
            SecretId=self._secret_id, SecretString=json.dumps(content)
        )

    @property
    def _secret_id(self) -> str:
        return self.stack.secret_ids["RECEIPT_SECRET_ID"]

    def new_verifier(self, recipe: Driver) -> Verifier:
        """Make a recipe's verifier: the JWKS address, and which page and whose key it is."""
        assert self.stack.receipt_secrets is not None
        key = self.stack.receipt_secrets.business_key
        return recipe.new(self.jwks, audiences=[self.stack.page], keys=[key] if key else [])


def forgetful(function: Function, log: Path | None) -> Environment:
    """Start an environment that keeps a secret for a second: the test of a rotation waits for that.

    Lambda's runtime, where it is the target, gets what the template allows.
    """
    variables = {**function.variables, "SECRET_MAX_AGE_SECONDS": "1"}
    return WorkerEnvironment(replace(function, variables=variables), log)


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[ReceiptNumber, Api]]:
    with ExitStack() as stacks:
        made = {}
        for form in ReceiptNumber:
            log = tmp_path_factory.mktemp(form.value) / "functions.log"
            parameters = {"DailyAttemptLimit": "1000", "SecretMaxAgeSeconds": str(MAX_AGE)}
            options = Options(receipts=form, log=log, parameters=parameters, runtime=forgetful)
            made[form] = Api(stacks.enter_context(start(options)), log)
        yield made


@pytest.fixture(scope="module")
def api(apis: dict[ReceiptNumber, Api]) -> Api:
    return apis[ReceiptNumber.MASKED]


@pytest.fixture
def nonce() -> str:
    return secrets.token_urlsafe(24)


@pytest.fixture(scope="module", params=LANGUAGES)
def recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Each language's recipe in turn."""
    folder = tmp_path_factory.mktemp(request.param)
    with skipping_without_parts(), LANGUAGES[request.param](folder) as driver:
        yield driver


# Good ones.


@pytest.mark.parametrize("form", ReceiptNumber)
def test_every_recipe_accepts_a_receipt_once(
    apis: dict[ReceiptNumber, Api], recipe: Driver, form: ReceiptNumber, nonce: str
) -> None:
    api = apis[form]
    verifier = api.new_verifier(recipe)
    good = api.receipt(nonce)

    claims = verifier.verify(good.attempt())["claims"]

    number = api.phone.sim
    assert (claims["aud"], claims["appId"]) == (api.stack.page, api.stack.app_id)
    assert claims["exp"] - claims["iat"] == LIFE
    assert claims[
        {"hash": "phoneNumHash", "masked": "phoneNumMasked", "encrypted": "phoneNum"}[form.value]
    ] == (
        hash_of(api)
        if form is ReceiptNumber.HASH
        else {"masked": f"136****{number[-4:]}", "encrypted": number}[form.value]
    )
    assert verifier.verify(good.attempt())["reason"] == "replayed"


def hash_of(api: Api) -> str:
    """Hash the number by OpenSSL's command, as a business might."""
    command = ["openssl", "dgst", "-sha256", "-hmac", api.secret()["hashKey"], "-r"]
    run = subprocess.run(command, input=api.phone.sim.encode(), stdout=subprocess.PIPE, check=True)
    return run.stdout.decode().split()[0]


def test_pyjwt_and_joserfc_accept_a_receipt(api: Api, nonce: str) -> None:
    good = api.receipt(nonce)

    key = jwt.PyJWKClient(api.jwks).get_signing_key_from_jwt(good.receipt)
    by_pyjwt = jwt.decode(
        good.receipt, key, algorithms=["ES256"], audience=api.stack.page, issuer=api.stack.api
    )
    published = KeySet.import_key_set(urllib3.request("GET", api.jwks).json())
    by_joserfc = joserfc_jwt.decode(good.receipt, published, algorithms=["ES256"]).claims

    assert by_pyjwt == by_joserfc == good.claims
    assert by_pyjwt["nonce"] == nonce


@pytest.mark.parametrize("recipe", ["node", "java"], indirect=True)
def test_jose_and_jose4j_accept_a_receipt(api: Api, recipe: Driver, nonce: str) -> None:
    good = api.receipt(nonce)

    answer = recipe.ask(
        do="library", jwks=api.jwks, receipt=good.receipt, issuer=api.stack.api, audience=api.stack.page
    )

    assert answer["claims"] == good.claims


def test_a_repeated_request_brings_no_second_login(api: Api, recipe: Driver, nonce: str) -> None:
    verifier, ticket = api.new_verifier(recipe), api.another_phone().ticket()
    first, again = api.receipt(nonce, ticket), api.receipt(nonce, ticket)

    assert "claims" in verifier.verify(first.attempt())
    assert first.receipt != again.receipt  # signed anew
    assert verifier.verify(again.attempt())["reason"] == "replayed"


# Attacked ones.


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_every_recipe_refuses_every_attack_on_a_receipt_of_ours(
    attacked: tuple[Verifier, Genuine], attack: Any
) -> None:
    verifier, good = attacked

    assert verifier.verify(attack.make(good))["reason"] == attack.reason


@pytest.fixture(scope="module")
def attacked(api: Api, recipe: Driver) -> tuple[Verifier, Genuine]:
    """One receipt, and a verifier that has seen none."""
    return api.new_verifier(recipe), api.receipt(secrets.token_urlsafe(24))


def test_a_receipt_of_one_login_is_none_of_another(api: Api, recipe: Driver, nonce: str) -> None:
    good = api.receipt(nonce)

    attempt = Attempt(good.receipt, secrets.token_urlsafe(24), good.at)

    assert api.new_verifier(recipe).verify(attempt)["reason"] == "wrong_nonce"


def test_a_token_is_not_taken_to_another_login(api: Api, nonce: str) -> None:
    phone = api.another_phone()
    ticket = phone.ticket()
    api.receipt(nonce, ticket)

    reply = phone.verify(phone.sim, ticket, nonce=secrets.token_urlsafe(24))

    assert (reply.status, reply.json["code"]) == (409, "token_reused")


def test_another_number_gets_no_receipt(api: Api, nonce: str) -> None:
    body = api.phone.verify("13600000000", api.phone.ticket(), nonce=nonce).json

    assert (body["verified"], "receipt" in body) == (False, False)


# The published keys.


def test_the_published_keys_are_for_whoever_asks_and_for_caches(api: Api) -> None:
    response = urllib3.request("GET", api.jwks)

    assert response.status == 200
    assert response.headers["Content-Type"] == "application/jwk-set+json"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    (key,) = response.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_without_receipts_there_is_no_such_route() -> None:
    with start(Options()) as stack:
        assert urllib3.request("GET", stack.api + PATH).status == 404
        phone = phone_of(stack)
        assert "receipt" not in phone.verify(phone.sim, phone.ticket()).json


@pytest.fixture(scope="module")
def rotated(apis: dict[ReceiptNumber, Api]) -> tuple[Api, Genuine, Genuine]:
    """A receipt from before a rotation and one from after, of functions that ran on.

    The new key has no lead, so that it can be waited for; test_receipt_rotation.py simulates one that has.
    """
    api = apis[ReceiptNumber.HASH]
    content = api.secret()
    former = api.receipt("n-former")
    kids = published(api)
    new = {"privateKey": bare(new_key()), "signFrom": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    api.put_secret({**content, "keys": [*content["keys"], new]})
    # Each function looks again when what it has is old. A look at the keys costs little, a verification much.
    assert looked_for(lambda: published(api) - kids, 0.05)
    following = looked_for(lambda: by_another_key(api.receipt("n-following"), former), 0.5)
    return api, former, following


def looked_for(look: Callable[[], T | None], pause: float) -> T:
    """Look until there is something, with pauses in seconds."""
    deadline = time.monotonic() + 3 * MAX_AGE
    while not (found := look()):
        assert time.monotonic() < deadline, "the new key is not used"
        time.sleep(pause)  # between two looks
    return found


def by_another_key(receipt: Genuine, former: Genuine) -> Genuine | None:
    return None if receipt.header["kid"] == former.header["kid"] else receipt


def test_a_rotation_takes_effect_in_running_functions(
    rotated: tuple[Api, Genuine, Genuine], recipe: Driver
) -> None:
    api, former, following = rotated
    verifier = api.new_verifier(recipe)

    assert "claims" in verifier.verify(following.attempt())
    assert "claims" in verifier.verify(former.attempt())


def published(api: Api) -> set[str]:
    return {key["kid"] for key in urllib3.request("GET", api.jwks).json()["keys"]}


# What stays out of sight.


def test_no_receipt_nonce_or_number_is_written_or_stored(apis: dict[ReceiptNumber, Api], nonce: str) -> None:
    for api in apis.values():
        api.receipt(nonce)
        items = client_of(api.stack, "dynamodb").scan(TableName=api.stack.table_name)["Items"]

        output = api.log.read_text() + json.dumps(items, default=str)
        assert '"ReceiptIssued":[1.0]' in output
        private = [key["privateKey"] for key in api.secret()["keys"]]
        assert not leaks(output, [*private, f"136****{api.phone.sim[-4:]}", "n-former"])
