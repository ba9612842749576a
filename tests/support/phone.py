"""A phone with a page open: calls the platform as the SDK does, and the API as the page does."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from tests.support import description
from tests.support.planted import plant

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"


def new_pre_sign(app_id: str, now: datetime | None = None) -> tuple[str, str, str, str]:
    """Make the parts msgId, timestamp, uuid and the whole preSign, as the SDK's current build does."""
    local = (now or datetime.now(UTC)).astimezone(UTC) + timedelta(hours=8)
    msg_id, uuid = ("".join(secrets.choice(_ALPHABET) for _ in range(32)) for _ in range(2))
    timestamp = f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"
    return msg_id, timestamp, uuid, f"{app_id}{msg_id}{timestamp}{uuid}1.2"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.text)
        return content


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the SDK gives the page for one attempt."""

    token: str = field(repr=False)
    user_information: str = field(repr=False)


@dataclass(kw_only=True)
class Phone:
    """A phone whose SIM has a number, with the page of a stack open: its addresses and appId.

    `host` names the API where its address does not.
    """

    api: str
    page: str
    platform: str
    app_id: str
    sim: str = "13999994444"
    host: str = ""

    def __post_init__(self) -> None:
        plant(self.sim)
        self._http = urllib3.PoolManager(num_pools=4, maxsize=64, retries=False)

    def post(
        self, path: str, body: Any = None, *, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Post to the API as the page does; an empty value leaves a header out."""
        own = {"Origin": self.page, "Content-Type": "application/json", "Host": self.host}
        sent = {**own, **(headers or {})}
        response = self._http.request(
            "POST",
            self.api + path,
            body=data or json.dumps(body).encode(),
            headers={name: value for name, value in sent.items() if value},
        )
        reply = Reply(response.status, response.headers, response.data.decode())
        if path in description.API["paths"]:
            description.check("post", path, reply.status, reply.headers, reply.json)
        return reply

    def presign(self, pre_sign: str) -> Reply:
        plant(pre_sign)
        reply = self.post("/presign", {"preSign": pre_sign})
        plant(reply.json.get("sign", ""))
        return reply

    def verify(self, number: str, ticket: Ticket, **more: str) -> Reply:
        plant(number, ticket.token, ticket.user_information)
        body = {"phoneNum": number, "token": ticket.token, "userInformation": ticket.user_information}
        return self.post("/verify", {**body, **more})

    def ticket(self) -> Ticket:
        """Walk the guide's steps 3 to 12: preSign, sign, token."""
        msg_id, timestamp, uuid, pre_sign = new_pre_sign(self.app_id)
        sign = self.presign(pre_sign).json["sign"]
        query = {"appId": self.app_id, "msgId": msg_id, "simulator.sim": self.sim}
        self._http.request("GET", f"{self.platform}/NumberAbility/h5/getMobile.htm?{urlencode(query)}")
        answer = self._http.request(
            "POST",
            f"{self.platform}/NumberAbility/h5/getToken.htm",
            json={
                "header": {"version": "1.2", "msgId": msg_id, "timestamp": timestamp, "appId": self.app_id},
                "body": {"expandParams": "", "sign": sign, "uuid": uuid},
            },
            headers={"Origin": self.page, "Referer": f"{self.page}/"},
        ).json()
        ticket = Ticket(answer["body"]["token"], answer["body"]["userInformation"])
        plant(ticket.token, ticket.user_information)
        return ticket

    def fault(self, name: str, **parameters: Any) -> None:
        """Have the platform's next verification go wrong."""
        self._control("POST", "faults", {"fault": name, **parameters})

    def journal(self) -> list[dict[str, Any]]:
        """Read what passed over the platform's wire."""
        entries: list[dict[str, Any]] = self._control("GET", "journal")["entries"]
        return entries

    def _control(self, method: str, name: str, body: Any = None) -> Any:
        response = self._http.request(method, f"{self.platform}/simulator/{name}", json=body)
        assert response.status < 300, response.data
        return response.json()
