"""The platform's messages: how it reads a request and writes an answer (guide sections 3.2.1 and 3.2.2)."""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import unquote

# China has had one time zone without summer time since 1991.
SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

DESCRIPTIONS: Final = {
    "000": "是本机号码",
    "001": "非本机号码",
    "000000": "成功",
    "103111": "网关IP错误",
    "103605": "加密方式或密钥值为空",
    "105112": "时间戳不合法",
    "110004": "IP不在白名单",
    "110022": "应用ID不存在",
    "110023": "应用没有权益",
    "110025": "权益已失效",
    "110027": "能力不可用",
    "111002": "网关未插入手机号",
    "111075": "使用次数为0",
    "120020": "token校验失败",
    "121011": "号码校验次数超限",
    "130010": "参数为空",
    "130016": "解码失败",
    "130018": "验证签名失败",
    "130032": "解析参数错误",
    "170001": "referer或origin校验失败",
    "999999": "系统异常",
}


class RefusedError(Exception):
    """The platform refuses: a return code, and for the journal the reason in plain words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """The header that all requests share."""

    version: str
    msg_id: str
    timestamp: str
    app_id: str


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """A request to verifyVmMobileApi.htm."""

    header: Header
    phone_num: str
    token: str
    sign: str
    user_information: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to getToken.htm."""

    header: Header
    sign: str
    uuid: str
    expand_params: dict[str, str]


def format_timestamp(moment: datetime) -> str:
    """Write a moment as 17 digits ``yyyyMMddHHmmssSSS``, time of Shanghai."""
    local = moment.astimezone(SHANGHAI)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"


def _check_timestamp(text: str) -> None:
    """Hold 17 digits ``yyyyMMddHHmmssSSS`` against the calendar.

    Raises
    ------
    RefusedError
        105112: not 17 digits, or not a moment of the calendar.
    """
    if not re.fullmatch(r"[0-9]{17}", text):
        raise RefusedError("105112", "timestamp is not 17 digits yyyyMMddHHmmssSSS")
    # Sliced by hand: strptime lets a field be one digit wide and would read month 13 as month 1.
    year, month, day, hour, minute, second = int(text[:4]), *(int(text[i : i + 2]) for i in range(4, 14, 2))
    try:
        datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI)
    except ValueError:
        raise RefusedError("105112", "timestamp is not a moment of the calendar") from None


def parse(body: bytes) -> dict[str, Any]:
    """Read a request's body as a JSON object.

    Raises
    ------
    RefusedError
        130032: whatever is not standard JSON in UTF-8, or not an object.
    """
    try:
        message = json.loads(body.decode(), parse_constant=_no_constant)
        # A lone surrogate is legal in JSON's grammar and no text: it cannot be signed or sent back.
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RefusedError("130032", "the body is not standard JSON in UTF-8") from None
    if not isinstance(message, dict):
        raise RefusedError("130032", "the body is not a JSON object")
    return message


def _no_constant(name: str) -> None:
    raise ValueError(name)


def unflatten(message: dict[str, Any]) -> dict[str, Any]:
    """Read the newer SDK build's flat message as one to getToken.htm, the fingerprint beside it."""
    parts = {name: message.get(name) for name in ("version", "msgId", "timestamp", "appId")}
    rest = {name: message.get(name) for name in ("sign", "uuid", "expandParams")}
    fingerprint = unquote(_optional(message, "userInformations"))
    if message.get("businessType") != "10":
        raise RefusedError("130010", "businessType is not 10")
    return {"header": parts, "body": rest, "fingerprint": fingerprint}


def read_verify_request(message: dict[str, Any]) -> VerifyRequest:
    """Read a request to verifyVmMobileApi.htm, all required fields present (130010, 130032, 105112)."""
    header = _read_header(message)
    body = _section(message, "body")
    request = VerifyRequest(
        header=header,
        phone_num=_required(body, "phoneNum"),
        token=_required(body, "token"),
        sign=_required(body, "sign"),
        user_information=_required(body, "userInformation"),
    )
    _optional(body, "expandParams")
    return request


def read_token_request(message: dict[str, Any]) -> TokenRequest:
    """Read a request to getToken.htm, all required fields present (130010, 130032, 105112)."""
    header = _read_header(message)
    body = _section(message, "body")
    return TokenRequest(
        header=header,
        sign=_required(body, "sign"),
        uuid=_required(body, "uuid"),
        expand_params=parse_expand_params(_optional(body, "expandParams")),
    )


def _read_header(message: dict[str, Any]) -> Header:
    section = _section(message, "header")
    header = Header(
        version=_required(section, "version"),
        msg_id=_required(section, "msgId"),
        timestamp=_required(section, "timestamp"),
        app_id=_required(section, "appId"),
    )
    _check_timestamp(header.timestamp)
    return header


def _section(message: dict[str, Any], name: str) -> dict[str, Any]:
    section = message.get(name)
    if section is None:
        raise RefusedError("130010", f"{name} is missing")
    if not isinstance(section, dict):
        raise RefusedError("130032", f"{name} is not a JSON object")
    return section


def _required(section: dict[str, Any], name: str) -> str:
    value = _optional(section, name)
    if not value:
        raise RefusedError("130010", f"{name} is missing or empty")
    return value


def _optional(section: dict[str, Any], name: str) -> str:
    value = section.get(name)
    if value is not None and not isinstance(value, str):
        raise RefusedError("130032", f"{name} is not a string")
    return value or ""


def parse_expand_params(text: str) -> dict[str, str]:
    """Read ``param1=value1|param2=value2``, URL-encoded as a whole or not at all."""
    pairs = (pair.partition("=") for pair in unquote(text).split("|"))
    return {name: value for name, _, value in pairs if name}


def answer(
    message: dict[str, Any] | None, code: str, now: datetime, **body: str
) -> dict[str, dict[str, str]]:
    """Build an answer in the guide's form; msgId and appId are the request's, as far as it had any."""
    header = message.get("header") if message else None
    return {
        "header": {
            "msgId": _echo(header, "msgId"),
            "timestamp": format_timestamp(now),
            "appId": _echo(header, "appId"),
            "resultCode": code,
        },
        "body": {
            "taskId": secrets.token_hex(16),
            "resultDesc": DESCRIPTIONS.get(code, "未知返回码"),
            "expandParams": "",
            **body,
        },
    }


def _echo(header: object, name: str) -> str:
    value = header.get(name) if isinstance(header, dict) else None
    return value if isinstance(value, str) else ""
