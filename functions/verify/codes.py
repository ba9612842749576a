"""The platform's return codes: what each means and what follows (guide section 3.2.2 and appendix)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cmpassport.problems import Problem


class Who(StrEnum):
    """Who can fix what a return code reports."""

    NOBODY = "nobody"
    USER = "user"
    PAGE = "page"
    OPERATOR = "operator"
    PLATFORM = "platform"


class Ending(StrEnum):
    """How the attempt that was reserved for the call ends."""

    MATCH = "match"
    MISMATCH = "mismatch"
    UNJUDGED = "unjudged"
    """The platform refused for its own limit, or may have judged the number."""
    GIVEN_BACK = "given back"
    """The platform cannot have judged the number."""


@dataclass(frozen=True, slots=True)
class ReturnCode:
    """One return code.

    Attributes
    ----------
    code
        As the platform sends it.
    description
        The platform's words for it, as in the guide.
    who
        Who can fix it.
    problem
        The refusal that the page gets; None for a verdict.
    ending
        How the attempt ends.
    """

    code: str
    description: str
    who: Who
    problem: Problem | None
    ending: Ending


def _operator(code: str, description: str) -> ReturnCode:
    return ReturnCode(code, description, Who.OPERATOR, Problem.PLATFORM_REJECTED, Ending.GIVEN_BACK)


VERIFIED: Final = ReturnCode("000", "是本机号码", Who.NOBODY, None, Ending.MATCH)
NOT_THIS_SIM: Final = ReturnCode("001", "非本机号码", Who.USER, None, Ending.MISMATCH)

_KNOWN: Final = {
    entry.code: entry
    for entry in (
        VERIFIED,
        NOT_THIS_SIM,
        _operator("103605", "加密方式或密钥值为空"),
        _operator("130010", "参数为空"),
        _operator("130016", "解码失败"),
        _operator("130018", "验证签名失败"),
        _operator("130032", "解析参数错误"),
        ReturnCode("120020", "token校验失败", Who.PAGE, Problem.TOKEN_REJECTED, Ending.GIVEN_BACK),
        _operator("110022", "应用ID不存在"),
        _operator("110023", "应用没有权益"),
        _operator("110025", "权益已失效"),
        _operator("110027", "能力不可用"),
        _operator("110004", "IP不在白名单"),
        _operator("111075", "使用次数为0"),
        ReturnCode("121011", "号码校验次数超限", Who.USER, Problem.ATTEMPTS_EXHAUSTED, Ending.UNJUDGED),
        ReturnCode("999999", "系统异常", Who.PLATFORM, Problem.PLATFORM_ERROR, Ending.UNJUDGED),
        # The SDK's codes: not expected here, but they are the platform's, and none of them is a verdict.
        ReturnCode("500", "图片请求失败", Who.PAGE, Problem.PLATFORM_REJECTED, Ending.GIVEN_BACK),
        _operator("170001", "referer或origin校验失败"),
        ReturnCode("111002", "网关未插入手机号", Who.USER, Problem.PLATFORM_REJECTED, Ending.GIVEN_BACK),
    )
}

KEY_FAULTS: Final = frozenset({"130016", "130018"})
"""Codes that a key rotation explains: the customer's key pair does not match what the platform has."""


def look_up(code: str) -> ReturnCode:
    """Find a return code; behind one that no table has, the number may have been judged."""
    return _KNOWN.get(code) or ReturnCode(
        code, "未知返回码", Who.PLATFORM, Problem.PLATFORM_ERROR, Ending.UNJUDGED
    )
