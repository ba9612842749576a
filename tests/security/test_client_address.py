"""The client's address is the one that API Gateway saw, whatever the client says of itself."""

from pathlib import Path

from local.stack import Stack
from tests.faults.scene import scene


def test_a_spoofed_address_gets_no_budget_of_its_own(stack: Stack, tmp_path: Path) -> None:
    body = {"phoneNum": "13644445555", "token": "VM_spoofed", "userInformation": "made%2Bup"}
    spoofed = ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "via")

    with scene(stack, tmp_path, variables={"CLIENT_HOURLY_LIMIT": "2"}) as stage:
        phone = stage.phone("13644445555")
        phone.network = "203.0.113.99"
        replies = [
            phone.post("/verify", body, headers={name: f"198.51.100.{number}"})
            for number, name in enumerate(spoofed)
        ]
        phone.network = "198.51.100.1"
        elsewhere = phone.post("/verify", body)

    assert [reply.status for reply in (*replies, elsewhere)] == [422, 422, 429, 429, 429, 422]
    assert replies[-1].json["code"] == "too_many_requests"
