"""Puts the Python recipe at the tests' disposal: a command a line in JSON on standard input, a line back."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from recipes.python.number_verification_receipts import (
    Claims,
    ReceiptError,
    ReceiptVerifier,
    hash_of_number,
    is_number,
)


class StoreError(Exception):
    pass


class FullStore:
    """Has seen everything; asked about what it does not know, it fails."""

    def put_if_absent(self, jti: str, until: int) -> bool:
        if jti.startswith("seen-until-"):
            return jti != f"seen-until-{until}"
        raise StoreError


@dataclass
class Driver:
    now: float = 0
    verifiers: list[ReceiptVerifier] = field(default_factory=list)

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "new":
                return self.new(command)
            case "verify":
                self.now = command["at"]
                return self.verify(command)
            case "race":
                self.now = command["at"]
                with ThreadPoolExecutor(len(command["receipts"])) as threads:
                    commands = [{**command, "receipt": receipt} for receipt in command["receipts"]]
                    return {"answers": list(threads.map(self.verify, commands))}
            case "hash":
                return {"hash": hash_of_number(command["number"], command["key"])}
            case "is":
                return {"is": is_number(command["hash"], command["number"], command["key"])}
        raise ValueError(command["do"])

    def new(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            verifier = ReceiptVerifier(
                command["jwks"],
                *command["audiences"],
                decryption_keys=command["keys"],
                used=FullStore() if command["full"] else None,
                clock=lambda: self.now,
            )
        except ValueError as error:
            return {"unusable": str(error)}
        self.verifiers.append(verifier)
        return {"verifier": len(self.verifiers) - 1}

    def verify(self, command: dict[str, Any]) -> dict[str, Any]:
        verifier = self.verifiers[command["verifier"]]
        try:
            if "nonce" in command:
                claims = verifier.verify(command["receipt"], command["nonce"])
            else:
                claims = verifier.verify_without_nonce(command["receipt"])
        except ReceiptError as error:
            return {"reason": error.reason.value, "text": str(error), "shown": repr(error)}
        except StoreError:
            return {"failed": True}
        return {"claims": wire(claims), "shown": repr(claims)}


def wire(claims: Claims) -> dict[str, Any]:
    said = {
        "jti": claims.jti,
        "appId": claims.app_id,
        "taskId": claims.task_id,
        "aud": claims.audience,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "phoneNum": claims.phone_num,
        "phoneNumMasked": claims.phone_num_masked,
        "phoneNumHash": claims.phone_num_hash,
    }
    return {name: value for name, value in said.items() if value is not None}


if __name__ == "__main__":
    driver = Driver()
    for line in sys.stdin:
        print(json.dumps(driver.answer(json.loads(line))), flush=True)  # noqa: T201 - the answer
