"""The secrets: can they be read, and is the pepper long enough."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tools.commands import Given, SecretKind
from tools.doctor.facts import Facts, Reading, World
from tools.doctor.place import Origin, Place
from tools.doctor.steps.settings import where_to_set
from tools.doctor.steps.step import Step
from tools.findings import Finding, fault, fine, unknown
from tools.trouble import AWS_REMEDIES, EVERYWHERE, Kind, Trouble
from verify.keyring import MIN_PEPPER_CHARACTERS

_ARN: Final = re.compile(
    r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):[0-9]{12}:secret:(?P<name>.+?)(?:-[A-Za-z0-9]{6})?"
)

_LONGEST: Final = 600
"""Characters of an ARN, whose name has 512 at most; a private key in Base64 has more."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One of the product's secrets.

    Attributes
    ----------
    variable
        The variable that names it.
    title
        For people.
    fields
        What a function looks for in it; none where the whole text counts.
    kind
        What the tools' commands know it as; None where none of them writes it.
    """

    variable: str
    title: str
    fields: tuple[str, ...] = ()
    kind: SecretKind | None = None


SIGNING: Final = Secret("SIGNING_SECRET_ID", "Signing secret", ("privateKey",), SecretKind.SIGNING)
VERIFICATION: Final = Secret(
    "VERIFICATION_SECRET_ID",
    "Verification secret",
    ("appKey", "platformPublicKey"),
    SecretKind.VERIFICATION,
)
RECEIPTS: Final = Secret("RECEIPT_SECRET_ID", "Receipt secret", ("keys",), SecretKind.RECEIPTS)
PEPPER: Final = Secret("PEPPER_SECRET_ID", "Pepper")
SECRETS: Final = (SIGNING, VERIFICATION, PEPPER)


def aws_takes_nothing(facts: Facts) -> bool:
    """Tell whether AWS answers no call of this identity at all."""
    troubles = [reading.trouble for reading in facts.secrets.values() if reading.trouble]
    return any(trouble.kind in EVERYWHERE - {Kind.UNREACHABLE} for trouble in troubles)


def secret_id(place: Place, secret: Secret) -> str:
    """Give the name or ARN by which the functions know a secret."""
    return next(each[secret.variable] for each in place.variables.values() if secret.variable in each).strip()


def name_of(place: Place, secret: Secret) -> str:
    """Give a secret's name, out of its ARN where the functions have that; what is none is not shown."""
    whole = secret_id(place, secret)
    if len(whole) > _LONGEST:
        return secret.variable
    match = _ARN.fullmatch(whole)
    return match["name"] if match else whole


def given(facts: Facts) -> Given:
    """Give what shown commands have to name: the place's own secrets, beside what the operator gave."""
    named = {
        secret.kind: name_of(facts.place, secret)
        for secret in (SIGNING, VERIFICATION, RECEIPTS)
        if secret.kind and facts.settings.has(secret.variable) and _is_named(facts.place, secret)
    }
    return replace(facts.asked.given, secrets=named)


def _is_named(place: Place, secret: Secret) -> bool:
    values = [each[secret.variable] for each in place.variables.values() if secret.variable in each]
    return bool(values) and 0 < len(values[0].strip()) <= _LONGEST


def look(facts: Facts, world: World, secrets: tuple[Secret, ...]) -> Facts:
    """Read secrets, until AWS gives a reason for which it will not give the next one either."""
    readings: dict[str, Reading] = dict(facts.secrets)
    for secret in secrets:
        if any(reading.trouble and reading.trouble.kind in EVERYWHERE for reading in readings.values()):
            break
        if facts.settings.has(secret.variable):
            name = secret_id(facts.place, secret)
            readings[secret.variable] = _unread(name, facts.place.region) or world.read_secret(name)
    return replace(facts, secrets=readings)


def _unread(name: str, region: str | None) -> Reading | None:
    """Tell what need not be asked for, and what must not: AWS writes down which names it is asked for."""
    if len(name) > _LONGEST:
        return Reading(trouble=Trouble(Kind.NO_NAME, ""))
    match = _ARN.fullmatch(name)
    if match and region and match["region"] != region:
        return Reading(trouble=Trouble(Kind.WRONG_REGION, match["region"]))
    return None


def _look(facts: Facts, world: World) -> Facts:
    return look(facts, world, SECRETS)


def secrets_can_be_read(facts: Facts) -> Iterator[Finding]:
    """Say of each secret whether it can be read."""
    where = _where_all_are(facts)
    if where is not None:
        yield _judge_region(facts, where)
        return
    for secret in SECRETS:
        yield from judge(facts, secret)


def _where_all_are(facts: Facts) -> str | None:
    """Give the one region of all secrets where it is another, which no stack's own region would be."""
    if facts.place.origin is Origin.STACK:
        return None
    troubles = [facts.secrets[each.variable].trouble for each in SECRETS if each.variable in facts.secrets]
    regions = {
        trouble.name if trouble and trouble.kind is Kind.WRONG_REGION else None for trouble in troubles
    }
    return regions.pop() if len(regions) == 1 else None


def _judge_region(facts: Facts, where: str) -> Finding:
    remedy = (
        f"Name the secrets' region: --region {where}."
        if facts.asked.given.region
        else f"Set AWS_REGION in {facts.place.name} to {where}, or name it: --region {where}."
    )
    return fault(
        "region-wrong",
        f"All secrets are in {where}, and {facts.place.region} is looked at: none was asked for there.",
        remedy,
    )


def judge(facts: Facts, secret: Secret) -> Iterator[Finding]:
    """Say whether one secret can be read."""
    reading = facts.secrets.get(secret.variable)
    trouble = reading.trouble if reading else None
    consequence = trouble and trouble.kind is Kind.WRONG_REGION and trouble.name == _where_all_are(facts)
    if reading is None or consequence:
        yield unknown("secret", f"{secret.title}: not looked at.", "Mend what stands above first.")
    elif reading.trouble is not None:
        yield _unreadable(facts.place, secret, reading.trouble)
    elif secret is PEPPER:
        yield _judge_pepper(facts.place, secret, reading.text or "")
    else:
        yield fine("secret", f"{secret.title} ({name_of(facts.place, secret)}) can be read.")


def _unreadable(place: Place, secret: Secret, trouble: Trouble) -> Finding:
    name, kind = name_of(place, secret), trouble.kind
    called = f"{secret.title} ({name})"
    setting = where_to_set(place, secret.variable)
    replicate = (
        f"Replicate it here: `aws secretsmanager replicate-secret-to-regions --secret-id {name} --region "
        f"{trouble.name} --add-replica-regions Region={place.region}`. "
        if _is_of_one_partition(trouble.name, place.region or "")
        else f"Nothing is replicated between these two, so make the secret in {place.region}. "
    )
    region = (
        ""
        if place.origin is Origin.STACK
        else f"If {trouble.name} is right, name it: --region {trouble.name}. "
    )
    put = f"`aws secretsmanager put-secret-value --secret-id {name} --secret-string file://FILE`"
    own = "This is about you, not about the function, which has a role of its own."
    words: Mapping[Kind, tuple[str, str]] = {
        Kind.NOT_FOUND: (
            "there is none of this name in this account and region",
            f"`aws secretsmanager list-secrets` shows what there is. {setting}.",
        ),
        Kind.WRONG_REGION: (
            f"it is in {trouble.name}, and the functions, in {place.region}, look for it where they are",
            f"{region}{replicate}{setting}.",
        ),
        Kind.NO_NAME: (
            "what is there is far longer than a secret's name or ARN: was the key itself put there",
            (
                f"{setting}: the name or ARN of the secret. If it was a private key, others have seen it: "
                "replace it with `python -m tools keys rotate`."
            ),
        ),
        Kind.NO_VALUE: ("it is there, and nothing has been put into it", f"Put it in: {put}."),
        Kind.DELETED: (
            "it is marked for deletion",
            f"`aws secretsmanager restore-secret --secret-id {name}`, unless another one took its place.",
        ),
        Kind.BINARY: ("it is binary; a text is expected", f"Store it as a text: {put}."),
        Kind.DENIED: (
            "you may not read it",
            f"Have this identity allowed secretsmanager:GetSecretValue on it. {own}",
        ),
        Kind.KMS_DENIED: (
            "its KMS key does not decrypt it",
            "Have kms:Decrypt on its key allowed: for you, and by SecretsKmsKeyArn for the functions.",
        ),
    }
    fallback = f"Run `aws secretsmanager describe-secret --secret-id {name}` to see more."
    what, remedy = words.get(kind, ("it cannot be read", AWS_REMEDIES.get(kind, fallback)))
    reason = "" if kind in {Kind.WRONG_REGION, Kind.NO_NAME, Kind.BINARY} else f" ({trouble.name})"
    return fault(f"secret-{kind.value}", f"{called}: {what}{reason}.", remedy)


def _is_of_one_partition(region: str, other: str) -> bool:
    """Tell whether AWS copies between two regions; China's and the governments' are apart."""
    apart = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")
    return [region.startswith(each) for each in apart] == [other.startswith(each) for each in apart]


def _judge_pepper(place: Place, secret: Secret, text: str) -> Finding:
    name = name_of(place, secret)
    if len(text.strip()) < MIN_PEPPER_CHARACTERS:
        made = (
            "The template makes one of 64: the stack's own was overwritten. Put a random text of 64 back"
            if place.origin is Origin.STACK
            else "Put a random text of 64 characters there"
        )
        return fault(
            "pepper-short",
            f"Pepper ({name}) has fewer than {MIN_PEPPER_CHARACTERS} characters: numbers could be found out.",
            f"{made}; today's attempts then begin anew.",
        )
    return fine("secret", f"Pepper ({name}) can be read and has {MIN_PEPPER_CHARACTERS} characters or more.")


STEP: Final = Step("Secrets", _look, (secrets_can_be_read,))
