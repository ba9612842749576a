"""The functions' variables: do the functions' own settings take them, and do these agree."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from cmpassport.settings import SettingsError
from jwks.settings import Settings as ReceiptKeysSettings
from presign.settings import Settings as PreSignSettings
from tools.doctor.facts import Facts, Parsed, SettingFault, World
from tools.doctor.place import PRESIGN, RECEIPT_KEYS, VERIFY, Origin, Place
from tools.doctor.steps.step import Step
from tools.findings import Finding, fault, fine, warning
from verify.settings import Settings as VerifySettings

_S = TypeVar("_S")

PARAMETERS: Final[Mapping[str, str]] = {
    "APP_ID": "AppId",
    "ALLOWED_ORIGINS": "AllowedOrigins",
    "SIGNING_SECRET_ID": "SigningSecretArn",
    "VERIFICATION_SECRET_ID": "VerificationSecretArn",
    "PLATFORM_URL": "Line",
    "DAILY_ATTEMPT_LIMIT": "DailyAttemptLimit",
    "CLIENT_HOURLY_LIMIT": "ClientHourlyLimit",
    "PRESIGN_WINDOW_HOURS": "PreSignWindowHours",
    "SIGNATURE_ALGORITHM": "SignatureAlgorithm",
    "SIGNATURE_ENCODING": "SignatureEncoding",
    "SECRET_MAX_AGE_SECONDS": "SecretMaxAgeSeconds",
    "PLATFORM_CONNECT_TIMEOUT": "PlatformConnectTimeout",
    "PLATFORM_READ_TIMEOUT": "PlatformReadTimeout",
    "PLATFORM_DEADLINE": "PlatformDeadline",
    "AWS_ENDPOINT_URL": "AwsEndpointUrl",
    "POWERTOOLS_LOG_LEVEL": "LogLevel",
    "RECEIPTS": "Receipts",
    "RECEIPT_SECRET_ID": "ReceiptSecretArn",
    "RECEIPT_NUMBER": "ReceiptNumber",
    "RECEIPT_LIFE_SECONDS": "ReceiptLifeSeconds",
    "RECEIPT_ISSUER": "DomainName",
}
"""The template's parameter behind each variable; the others follow from what the template makes."""

_STAND_INS: Final = {
    "APP_ID": "000000",
    "ALLOWED_ORIGINS": "https://stand-in.invalid",
    "SIGNING_SECRET_ID": "stand-in",
    "VERIFICATION_SECRET_ID": "stand-in",
    "PEPPER_SECRET_ID": "stand-in",
    "TABLE_NAME": "stand-in",
    "PLATFORM_URL": "https://stand-in.invalid/stand-in",
    "RECEIPT_SECRET_ID": "stand-in",
}
"""What stands for a required variable that is wrong, so that the functions go on to the next."""

_PLATFORMS_DAILY_LIMIT: Final = 10
"""Verifications of a number in a day that the platform takes, unless the app has another limit there."""

_SHARED: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    (PRESIGN, VERIFY): (
        "APP_ID",
        "ALLOWED_ORIGINS",
        "SIGNING_SECRET_ID",
        "SIGNATURE_ALGORITHM",
        "SIGNATURE_ENCODING",
    ),
    (VERIFY, RECEIPT_KEYS): ("RECEIPT_SECRET_ID",),
}
"""What two functions read alike."""


def where_to_set(place: Place, variable: str) -> str:
    """Say where a variable gets its value, as the beginning of a remedy."""
    parameter = PARAMETERS.get(variable)
    if place.origin is Origin.FILE:
        also = f" (in a deployment: the parameter {parameter})" if parameter else ""
        return f"Set {variable} in {place.name}{also}"
    if parameter is None:
        return f"{variable} is the template's own: deploy template.yaml as it is"
    if place.origin is Origin.LOCAL:
        return f"End the local stack and start it anew; {variable} comes from its parameter {parameter}"
    return f"Set the parameter {parameter} and deploy again"


def parse(place: Place) -> Parsed:
    """Have the functions parse their variables, past every one that is wrong."""
    presign, faults = _parse(PRESIGN, PreSignSettings.from_environment, place.variables.get(PRESIGN, {}))
    verify, more = _parse(VERIFY, VerifySettings.from_environment, place.variables.get(VERIFY, {}))
    if RECEIPT_KEYS in place.variables:
        own = place.variables[RECEIPT_KEYS]
        more += _parse(RECEIPT_KEYS, ReceiptKeysSettings.from_environment, own)[1]
    return Parsed(presign, verify, (*faults, *more))


def _parse(
    function: str, read: Callable[[Mapping[str, str]], _S], variables: Mapping[str, str]
) -> tuple[_S | None, list[SettingFault]]:
    trial = dict(variables)
    faults: list[SettingFault] = []
    while True:
        try:
            return read(trial), faults
        except SettingsError as error:
            name, reason = error.name, str(error)
        if name in {fault.variable for fault in faults}:
            return None, faults  # nothing that stands for it is right either
        faults.append(SettingFault(function, name, reason))
        trial.pop(name, None)
        if name in _STAND_INS:
            trial[name] = _STAND_INS[name]


def _look(facts: Facts, _world: World) -> Facts:
    return replace(facts, settings=parse(facts.place))


def variables_parse(facts: Facts) -> Iterator[Finding]:
    """Say which variables the functions refuse."""
    reasons: dict[str, list[SettingFault]] = {}
    for wrong in facts.settings.faults:
        reasons.setdefault(wrong.variable, []).append(wrong)
    for variable, wrongs in reasons.items():
        if variable == "ALLOWED_ORIGINS" and facts.place.variables[VERIFY].get(variable, "").strip():
            continue  # the origins' own step says which one, and why
        functions = " and ".join(wrong.function for wrong in wrongs)
        remedy = f"{where_to_set(facts.place, variable)}."
        yield fault("setting-wrong", f"{functions}: {wrongs[0].reason}.", remedy)
    for function in facts.place.variables:
        if function not in {wrong.function for wrong in facts.settings.faults}:
            yield fine("settings", f"{function} takes all of its variables.")


def functions_agree(facts: Facts) -> Iterator[Finding]:
    """Look whether what two functions read is the same for both."""
    for functions, names in _SHARED.items():
        if not {*functions} <= facts.place.variables.keys():
            continue
        own, other = (facts.place.variables[function] for function in functions)
        for name in names:
            if own.get(name) != other.get(name):
                yield fault(
                    "settings-differ",
                    f"{name} is not the same for {' and '.join(functions)}.",
                    f"{where_to_set(facts.place, name)}; never change one function by hand.",
                )


def aws_is_not_redirected(facts: Facts) -> Iterator[Finding]:
    """Look whether a deployed function would look for AWS elsewhere."""
    redirected = [name for name, each in facts.place.variables.items() if each.get("AWS_ENDPOINT_URL")]
    if facts.place.origin is Origin.STACK and redirected:
        yield fault(
            "aws-redirected",
            f"AWS_ENDPOINT_URL is set for {' and '.join(redirected)}: a deployed function finds no AWS.",
            "Empty the parameter AwsEndpointUrl and deploy again: it is for a developer's machine.",
        )


def what_was_deployed_runs(facts: Facts) -> Iterator[Finding]:
    """Look for what was deployed without a new release, which reaches nothing that runs."""
    unreleased = facts.place.unreleased
    if unreleased:
        changes = dict.fromkeys(change for each in unreleased.values() for change in each)
        names = ", ".join(PARAMETERS.get(change, change) for change in changes)
        yield warning(
            "not-released",
            f"{' and '.join(unreleased)}: what was deployed last does not run, since the release kept its "
            f"name; it differs in {names}.",
            "Deploy the same once more with a new name for the parameter Release, such as 2026-11-24-2.",
        )


def the_daily_limit_is_below_the_platforms(facts: Facts) -> Iterator[Finding]:
    """Look whether a number's attempts end here, with a day that is told, before they end at the platform."""
    name, verify = "DAILY_ATTEMPT_LIMIT", facts.settings.verify
    if verify and facts.settings.has(name) and verify.daily_attempt_limit >= _PLATFORMS_DAILY_LIMIT:
        yield warning(
            "daily-limit-high",
            f"{name} is {verify.daily_attempt_limit}, and the platform's own limit is "
            f"{_PLATFORMS_DAILY_LIMIT} a day: it is the platform that refuses a number first.",
            f"{where_to_set(facts.place, name)}, to less than {_PLATFORMS_DAILY_LIMIT}; leave it where the "
            "platform has set a higher limit for the app.",
        )


def the_timeouts_fit_the_deadline(facts: Facts) -> Iterator[Finding]:
    """Look whether a timeout can ever come into effect before the whole exchange's deadline."""
    verify, whole = facts.settings.verify, "PLATFORM_DEADLINE"
    if verify is None:
        return
    limits = verify.limits
    parts = {"PLATFORM_CONNECT_TIMEOUT": limits.connect, "PLATFORM_READ_TIMEOUT": limits.read}
    for name, seconds in parts.items():
        if facts.settings.has(name, whole) and seconds > limits.deadline:
            yield warning(
                "timeout-above-deadline",
                f"{name} is {seconds:g} s and never comes into effect: {whole} ends all of it after "
                f"{limits.deadline:g} s.",
                f"{where_to_set(facts.place, name)}, to {limits.deadline:g} or less; or raise {whole}.",
            )


STEP: Final = Step(
    "Settings",
    _look,
    (
        variables_parse,
        functions_agree,
        aws_is_not_redirected,
        what_was_deployed_runs,
        the_daily_limit_is_below_the_platforms,
        the_timeouts_fit_the_deadline,
    ),
)
