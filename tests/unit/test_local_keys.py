import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cmpassport.receipt_keys import ReceiptKeys
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets, SecretsFileError

KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - what the tool class makes
PKCS8 = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PRIVATE, PUBLIC = base64.b64encode(PKCS8).decode(), base64.b64encode(SPKI).decode()
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
GOOD = {"privateKey": PRIVATE, "platformPublicKey": PUBLIC, "appKey": "APPKEY-OF-32-CHARACTERS-00000000"}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], CustomerKeys]:
    def read(content: Any) -> CustomerKeys:
        file = tmp_path / "secrets.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return CustomerKeys.read(file)

    return read


@pytest.mark.parametrize("private", [PRIVATE, PEM])
def test_bare_base64_and_pem_are_read_and_the_public_half_is_bare(
    read: Callable[[Any], CustomerKeys], private: str
) -> None:
    keys = read({**GOOD, "privateKey": private})

    assert (keys.private_key, keys.public_key) == (private.strip(), PUBLIC)
    assert (keys.app_key, keys.platform_key) == (GOOD["appKey"], PUBLIC)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ({**GOOD, "appKey": ""}, "appKey is missing, empty or not a text"),
        ({"privateKey": PRIVATE, "appKey": "x"}, "platformPublicKey is missing"),
        ({**GOOD, "privateKey": PUBLIC}, "privateKey: "),
        ({**GOOD, "platformPublicKey": PRIVATE}, "platformPublicKey: "),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_field_and_no_value(
    read: Callable[[Any], CustomerKeys], content: object, said: str
) -> None:
    with pytest.raises(SecretsFileError) as caught:
        read(content)

    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    assert not any(value in text for value in (PRIVATE[:40], PUBLIC[:40], GOOD["appKey"]))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("number", ReceiptNumber)
def test_fresh_receipt_keys_are_a_secret_that_signs_at_once(number: ReceiptNumber) -> None:
    secrets = ReceiptSecrets.fresh(number)

    keys = ReceiptKeys.parse(secrets.text)
    assert keys.signing_at(datetime.now(UTC)) == keys.signing[0]
    assert (keys.hash_key is not None) == (number is ReceiptNumber.HASH)
    assert (keys.encryption_key is not None) == (number is ReceiptNumber.ENCRYPTED)
    assert (secrets.business_key is not None) == (number is ReceiptNumber.ENCRYPTED)
    assert repr(secrets) == f"ReceiptSecrets(number={number!r})"
