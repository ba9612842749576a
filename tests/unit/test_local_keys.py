import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cmpassport.receipt_keys import ReceiptKeys
from local.keys import CustomerKeys, ReceiptNumber, ReceiptSecrets, SecretsFileError

FRESH = CustomerKeys.fresh()
PRIVATE, PUBLIC = FRESH.private_key, FRESH.public_key
GOOD = {"privateKey": PRIVATE, "platformPublicKey": PUBLIC, "appKey": "APPKEY-OF-32-CHARACTERS-00000000"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("form", ["{}", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"])
def test_bare_base64_and_pem_are_read_and_the_public_half_is_bare(
    tmp_path: Path, form: str, encoding: str
) -> None:
    private, file = form.format(PRIVATE), tmp_path / "secrets.json"
    file.write_text(json.dumps({**GOOD, "privateKey": private}), encoding=encoding)

    assert CustomerKeys.read(file) == CustomerKeys(private.strip(), PUBLIC, GOOD["appKey"], PUBLIC)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        (json.dumps({**GOOD, "appKey": ""}), "appKey is missing, empty or not a text"),
        (json.dumps({**GOOD, "privateKey": PUBLIC}), "privateKey: "),
        (json.dumps({**GOOD, "platformPublicKey": PRIVATE}), "platformPublicKey: "),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_field_and_no_value(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(content)

    with pytest.raises(SecretsFileError) as caught:
        CustomerKeys.read(file)

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
