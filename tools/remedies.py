"""What each code means and what mends it, in English and Chinese: the platform's codes and this API's own.

The platform's are those of `verify.codes` (guide section 3.2.2 and appendix), whose Chinese words for a code
are the platform's own and are not repeated here; this API's are those of `cmpassport.problems`. What a page
is told and what becomes of an attempt is those modules' to say, and no part of this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """Language of what an operator reads."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One code for an operator.

    Attributes
    ----------
    meaning
        What it says, in English; in Chinese the platform's words serve, or `meaning_zh`.
    remedy, remedy_zh
        What mends it.
    meaning_zh
        What it says, in Chinese, where the platform has no words for it.
    """

    meaning: str
    remedy: str
    remedy_zh: str
    meaning_zh: str = ""

    def says(self, language: Language) -> str:
        """Give the remedy in a language."""
        return self.remedy if language is Language.ENGLISH else self.remedy_zh


_WRONG_LINE: Final = (
    "A production app belongs on Line=production and a test app on Line=test: compare the parameters Line "
    "and AppId, and the SDK's isTest on the page."
)
_WRONG_LINE_ZH: Final = (
    "现网应用须用 Line=production，测试应用须用 Line=test：请核对参数 Line 与 AppId，以及页面上 SDK 的 "
    "isTest。"
)
_KEYS: Final = (
    "Compare the public half on the open platform with the private half in the signing secret: `python -m "
    "tools keys check --public FILE`, FILE being what was pasted there. If they are no pair, paste the right "
    "public half or finish the rotation: `python -m tools keys rotate`. If they are, see that "
    "SignatureAlgorithm is MD5withRSA and SignatureEncoding base64, and that platformPublicKey is the "
    "platform's key, not yours."
)
_KEYS_ZH: Final = (
    "核对开放平台上填写的客户公钥与签名密钥（signing secret）中的私钥是否配对：`python -m tools keys check "
    "--public FILE`，FILE 为当时填写的公钥。不配对时，重新填写正确的公钥，或完成轮换：`python -m tools keys "
    "rotate`。配对时，确认 SignatureAlgorithm 为 MD5withRSA、SignatureEncoding 为 base64，并确认 "
    "platformPublicKey 是平台公钥而不是自己的公钥。"
)

REMEDIES: Final[Mapping[str, Remedy]] = {
    "000": Remedy("the number is this SIM's", "Nothing to mend: log the user in.", "无需处理：允许登录。"),
    "001": Remedy(
        "the number is not this SIM's",
        "Nothing to mend: the user types the number of the SIM whose mobile data the page uses, or logs in "
        "another way. Phones with two SIMs: the one that carries the data counts.",
        "无需处理：请用户输入当前使用移动数据的 SIM 卡的号码，或改用其他登录方式。"
        "双卡手机以承载数据流量的卡为准。",
    ),
    "103605": Remedy(
        "the encryption method or the key is empty",
        f"{_WRONG_LINE} If they agree, the open platform's configuration is not live yet: wait, and ask its "
        "support if it lasts.",
        f"{_WRONG_LINE_ZH}若一致，则是开放平台的配置尚未生效：稍候再试，长时间不生效请联系平台。",
    ),
    "130010": Remedy(
        "a parameter is empty",
        f"The page got no token or no userInformation. {_WRONG_LINE}",
        f"页面没有取得 token 或 userInformation。{_WRONG_LINE_ZH}",
    ),
    "130016": Remedy("decoding failed: keys do not match", _KEYS, _KEYS_ZH),
    "130018": Remedy("the signature is not valid: keys do not match", _KEYS, _KEYS_ZH),
    "130032": Remedy(
        "the parameters could not be parsed",
        "The platform found no standard JSON. Something between this service and the platform changes the "
        "message, or the address is not verifyVmMobileApi.htm: look at PLATFORM_URL, then ask the platform "
        "with the msgId.",
        "平台收到的不是标准 JSON。可能是中间网络设备改动了报文，或地址不是 verifyVmMobileApi.htm：请检查 "
        "PLATFORM_URL，再凭 msgId 联系平台。",
    ),
    "120020": Remedy(
        "the token check failed",
        "The page gets a new token and tries again. If it happens often: the token is older than a minute "
        "(the user types slowly: get it when the button is pressed), it was used before, or userInformation "
        "is changed on its way (it goes on verbatim, neither decoded nor encoded again).",
        "页面重新获取 token 后重试。若频繁出现：token 已超过一分钟（建议在用户点击登录时再获取）、token "
        "被重复使用，或 userInformation 在传递中被改动（必须原样传递，不得再次编码或解码）。",
    ),
    "110022": Remedy(
        "the appId does not exist",
        f"Copy AppId from the open platform, all digits of it. {_WRONG_LINE}",
        f"从开放平台完整复制 AppId。{_WRONG_LINE_ZH}",
    ),
    "110023": Remedy(
        "the app has no entitlement",
        "Have the capability H5 number verification (H5 本机号码校验) assigned to this appId on the open "
        "platform.",
        "请在开放平台为该 appId 开通“H5 本机号码校验”能力。",
    ),
    "110025": Remedy(
        "the entitlement has expired",
        "Look at the capability's end date on the open platform, and extend it.",
        "请在开放平台的能力配置页面检查下线时间是否过期，并续期。",
    ),
    "110027": Remedy(
        "the capability is not available",
        "See on the open platform that a contract is bound and its balance is enough; a new configuration "
        "takes a while to be live.",
        "请在开放平台检查合同是否绑定、合同余额是否充足；新申请的配置需等待生效。",
    ),
    "110004": Remedy(
        "the address is not on the white list",
        "Report this service's outgoing addresses on the open platform. They are the stack's output "
        "EgressAddresses; without StaticEgress (or a VPC of your own) Lambda's addresses change and cannot "
        "be reported.",
        "请在开放平台报备本服务的出口 IP，即堆栈输出 EgressAddresses；未启用 StaticEgress（或自有 VPC）时，"
        "Lambda 的出口 IP 不固定，无法报备。",
    ),
    "111075": Remedy(
        "no uses are left",
        "Buy or assign more uses on the open platform.",
        "请在开放平台购买或分配更多使用次数。",
    ),
    "121011": Remedy(
        "the number's attempts of the day are used up at the platform",
        "The user logs in another way until tomorrow. The limit is 10 a day unless the open platform's "
        "configuration says otherwise; set DailyAttemptLimit no higher, so that this service refuses before "
        "a call is made.",
        "该号码当天只能改用其他登录方式。上限默认每天 10 次，可在开放平台的配置项修改；请将 "
        "DailyAttemptLimit 设为不高于该上限，使本服务在调用平台之前就拒绝。",
    ),
    "999999": Remedy(
        "the platform had a system error",
        "The page tries again with a new token. If it lasts, see that platformPublicKey is the platform's "
        "present key (`python -m tools keys check`), then ask the platform with the msgId.",
        "页面重新获取 token 后重试。若持续出现，请确认 platformPublicKey 为平台当前公钥（`python -m tools "
        "keys check`），再凭 msgId 联系平台。",
    ),
    "500": Remedy(
        "(SDK) fetching the number failed, whatever the cause",
        "The page uses another way to log in. Wi-Fi is the usual cause. To find another, capture the phone's "
        "traffic: getToken.htm's answer has the code beneath, which this command explains. On the test line "
        "see that expandParams has phoneNum=NUMBER.",
        "页面改用其他登录方式。最常见的原因是用户使用 Wi-Fi。如需查明原因，可抓包查看 getToken.htm "
        "应答中的具体返回码，再用本命令查询。测试环境请检查 expandParams 中是否传了 phoneNum=手机号。",
    ),
    "170001": Remedy(
        "(SDK) the referer or the origin is not the reported one",
        'Referer: put <meta content="always" name="referrer"> into the page\'s head, and report the full '
        "address of each page, without ? and #. Origin: report protocol://host[:port], with no / at its end.",
        'referer：在页面 head 中加入 <meta content="always" name="referrer">，'
        "并报备每个页面的完整地址（不含 ? 与 # 部分）。origin：按 protocol://host[:port] 报备，"
        "结尾不得有“/”。",
    ),
    "111002": Remedy(
        "(SDK) the gateway inserted no number",
        "The user switches Wi-Fi off and uses China Mobile's data, or logs in another way.",
        "请用户关闭 Wi-Fi、使用中国移动的数据网络，或改用其他登录方式。",
    ),
}
"""By the platform's return code."""

SDK_CODES: Final = frozenset({"500", "170001", "111002"})
"""Codes that the page gets from the SDK, before this service is asked anything."""

SEEN_ELSEWHERE: Final[Mapping[str, Mapping[Language, str] | None]] = {
    "000000": {
        Language.ENGLISH: "the SDK's own success, which is no verdict",
        Language.CHINESE: "SDK 自己的成功码，不是校验结果",
    },
    "105112": {Language.ENGLISH: "illegal timestamp", Language.CHINESE: "时间戳非法"},
    **dict.fromkeys(
        (
            *("110024", "110028", "121016", "130030", "103101"),
            *("103111", "103211", "103609", "105002"),
        )
    ),
}
"""Codes of the platform's other products, in no table of this one; the meaning where it is known."""

OWN: Final[Mapping[str, Remedy]] = {
    "invalid_request": Remedy(
        "the request is not of the documented form",
        "Look at the answer's `errors`: field and reason. docs/integration.md shows what a page sends.",
        "请看应答中的 `errors`（字段与原因）；页面应发送的内容见 docs/integration.zh-CN.md。",
        "请求格式不符合文档",
    ),
    "presign_rejected": Remedy(
        "the string is no preSign of this app, or its time is too far from now",
        "Pass on what the SDK's getSign(appId, version) gave, unchanged and soon. AppId here and on the page "
        "must be the same. If phones' clocks are the trouble, PreSignWindowHours is how far they may be off.",
        "请原样、及时地传递 SDK 的 getSign(appId, version) 返回的字符串；页面与本服务的 AppId 必须相同。"
        "若是手机时钟不准，可调整 PreSignWindowHours。",
        "该字符串不是本应用的 preSign，或时间相差过大",
    ),
    "origin_not_allowed": Remedy(
        "the page's Origin is missing or not in AllowedOrigins",
        "Add the page's origin to AllowedOrigins as the browser sends it, protocol://host[:port] with no / "
        "at its end, and deploy; a back end has no business calling this route.",
        "把页面的 origin 按浏览器发送的形式（protocol://host[:port]，结尾无“/”）加入 AllowedOrigins "
        "并重新部署；后端程序不应调用此接口。",
        "页面的 Origin 缺失或不在 AllowedOrigins 中",
    ),
    "body_too_large": Remedy(
        "the request is larger than 16 KiB",
        "Send the documented members alone.",
        "只发送文档所列的字段。",
        "请求超过 16 KiB",
    ),
    "unsupported_media_type": Remedy(
        "the request is not JSON",
        "Send Content-Type: application/json.",
        "请使用 Content-Type: application/json。",
        "请求不是 JSON",
    ),
    "token_reused": Remedy(
        "the token was already sent with another number, another nonce or from another page",
        "The page gets a new token whenever the number, the nonce or the page (its origin) is another, and "
        "repeats a request only as it was.",
        "号码、nonce 或页面（来源 origin）有任何变化时，页面都应重新获取 token；重发时请求须保持原样。",
        "该 token 已随另一个号码、另一个 nonce 或从另一个页面提交过",
    ),
    "in_progress": Remedy(
        "the same request is being worked on",
        "The page waits a second and sends it again: it gets the first one's outcome, with no second call.",
        "页面等待一秒后重发：将得到第一次请求的结果，不会重复调用平台。",
        "相同的请求正在处理中",
    ),
    "token_rejected": Remedy(
        "the platform does not accept the token (120020)",
        REMEDIES["120020"].remedy,
        REMEDIES["120020"].remedy_zh,
        "平台不接受该 token（120020）",
    ),
    "attempts_exhausted": Remedy(
        "the number's attempts of the day are used up, here or at the platform (121011)",
        "The user logs in another way; Retry-After says when the day in Shanghai ends. DailyAttemptLimit is "
        "the limit here.",
        "请用户改用其他登录方式；Retry-After 为距北京时间零点的秒数。本服务的上限由 DailyAttemptLimit 设置。",
        "该号码当天的次数已用完（本服务的预算，或平台的 121011）",
    ),
    "too_many_requests": Remedy(
        "the client address has used up its requests of this hour",
        "Carriers put many phones behind one address: raise ClientHourlyLimit, or set it to 0 (off).",
        "运营商会让许多手机共用一个地址：请调高 ClientHourlyLimit，或设为 0（关闭）。",
        "该客户端地址一小时内的请求过多",
    ),
    "platform_rejected": Remedy(
        "the platform refused the request with a code that the operator has to mend",
        "Look at the answer's resultCode, and explain that.",
        "请看应答中的 resultCode，再用本命令查询该返回码。",
        "平台以需要运营方处理的返回码拒绝了请求",
    ),
    "platform_error": Remedy(
        "the platform gave no verdict: 999999, an unknown code, or no answer of its protocol",
        "The page tries again with a new token. If it lasts: the answer's resultCode or the function's log "
        "says which, and the platform finds the call by its msgId.",
        "页面重新获取 token 后重试。若持续出现：应答中的 resultCode 或函数日志会说明原因，平台可凭 msgId "
        "查询。",
        "平台没有给出结果：999999、未知返回码，或应答不符合协议",
    ),
    "platform_unreachable": Remedy(
        "the platform cannot be reached: nothing was sent",
        "The same token may be sent again. If it lasts, see whether the function gets out: its VPC's routes "
        "and NAT gateway, DNS, PLATFORM_URL; `python -m tools doctor` looks.",
        "可用同一 token 重发。若持续出现，请检查函数能否访问外网：VPC 路由与 NAT 网关、DNS、PLATFORM_URL；"
        "可运行 `python -m tools doctor`。",
        "无法连接平台，请求没有发出",
    ),
    "platform_timeout": Remedy(
        "the platform did not answer in time: the verdict is unknown and may be billed",
        "The page tries again with a new token. If it happens often, look at the metric PlatformLatency, "
        "then at PlatformReadTimeout and PlatformDeadline.",
        "页面重新获取 token 后重试。若频繁出现，请先看指标 PlatformLatency，再看 PlatformReadTimeout 与 "
        "PlatformDeadline。",
        "平台没有及时应答：结果未知，可能计费",
    ),
    "internal_error": Remedy(
        "something went wrong in this service",
        "Find the answer's requestId in the function's log group: the line there names the cause.",
        "请在函数的日志组中查找应答里的 requestId，日志会给出原因。",
        "本服务内部出错",
    ),
}
"""By this API's own code, of `cmpassport.problems`."""
