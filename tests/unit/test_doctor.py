"""The doctor's checks, each on facts made by hand, and its place and report."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    UnknownServiceError,
)
from joserfc.jwk import ECKey

from cmpassport.keys import load_private_key
from cmpassport.signing import SignatureScheme
from local import ROOT
from local.keys import CustomerKeys
from local.template import Template
from tools.commands import Given
from tools.doctor.command import examine_place
from tools.doctor.examination import STEPS, take
from tools.doctor.facts import Asked, Contact, Facts, Fetched, Reading, Stage, Table
from tools.doctor.place import (
    PRESIGN,
    RECEIPT_KEYS,
    VERIFY,
    NoPlaceError,
    Origin,
    Place,
    deployed_place,
    file_place,
)
from tools.doctor.report import to_report, write_json
from tools.doctor.steps.clock import the_clock_is_right
from tools.doctor.steps.line import LINES
from tools.doctor.steps.pages import is_page, origin_of, referer_of
from tools.doctor.steps.probe import Verdict, verdict
from tools.doctor.steps.settings import PARAMETERS
from tools.errors import ToolError
from tools.findings import Finding, Group, Severity, fault, fine, unknown, warning
from tools.paper import Paper, failed
from tools.remedies import REMEDIES
from tools.trouble import Kind, Trouble, classify
from verify.platform import Limits, PlatformSilentError, PlatformUnreachableError

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
KEYS = CustomerKeys.fresh()
PLATFORM = CustomerKeys.fresh()
SCHEME = SignatureScheme()
VARIABLES = {
    "APP_ID": "300011112222",
    "ALLOWED_ORIGINS": "https://www.abc.com",
    "SIGNING_SECRET_ID": "signing",
    "VERIFICATION_SECRET_ID": "verification",
    "PEPPER_SECRET_ID": "pepper",
    "TABLE_NAME": "attempts",
    "PLATFORM_URL": "https://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm",
}
SECRETS = {
    "signing": json.dumps({"privateKey": KEYS.private_key}),
    "verification": json.dumps({"appKey": KEYS.app_key, "platformPublicKey": PLATFORM.public_key}),
    "pepper": "p" * 64,
}


REACHED = Contact(Stage.ANSWER, "", "192.0.2.1", NOW + timedelta(days=90), 405, 0.2)


@dataclass
class FakeWorld:
    """A world in which all is well, but for what a test changes."""

    ahead: timedelta = timedelta()
    secrets: Mapping[str, str | Trouble] = field(default_factory=lambda: SECRETS)
    table: Table = field(default_factory=lambda: Table(("id HASH S",), "ACTIVE", "expiration"))
    reached: Contact = field(default_factory=lambda: REACHED)
    pages: Mapping[str, Fetched] = field(default_factory=dict)
    replies: Mapping[str, Fetched] = field(default_factory=dict)
    answer: bytes | Exception = b""
    asked: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return NOW

    def aws_address(self) -> str | None:
        return "https://secretsmanager.cn-north-1.amazonaws.com.cn"

    def server_clock(self, url: str) -> datetime | None:  # noqa: ARG002 - the world's own form
        return NOW - self.ahead

    def contact(self, url: str, limits: Limits) -> Contact:  # noqa: ARG002 - the world's own form
        return self.reached

    def read_secret(self, secret_id: str) -> Reading:
        self.asked.append(secret_id)
        found = self.secrets[secret_id]
        return Reading(trouble=found) if isinstance(found, Trouble) else Reading(found)

    def describe_table(self, name: str) -> Table:
        self.asked.append(name)
        return self.table

    def get(self, url: str) -> Fetched:
        self.asked.append(url)
        return self.pages[url]

    def post(self, url: str, origin: str, body: Mapping[str, str]) -> Fetched:  # noqa: ARG002 - the world's own form
        self.asked.append(url)
        return self.replies[url.rpartition("/")[2]]

    def ask_platform(self, url: str, limits: Limits, request: bytes) -> bytes:  # noqa: ARG002 - the world's own form
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def examine(
    world: FakeWorld | None = None,
    asked: Asked = Asked(),  # noqa: B008 - immutable
    origin: Origin = Origin.FILE,
    place: Mapping[str, Any] | None = None,
    **changes: str,
) -> list[Finding]:
    """Take all steps; give all findings that are not in order."""
    variables = {function: {**VARIABLES, **changes} for function in (PRESIGN, VERIFY)}
    facts = Facts(Place(origin, "desk.env", variables, **(place or {})), asked, NOW)
    found: list[Finding] = []
    for step in STEPS:
        group, facts = take(step, facts, world or FakeWorld())
        found += group.findings
    return [finding for finding in found if finding.severity is not Severity.OK]


def faults(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings if finding.severity is Severity.FAULT]


def warnings(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings if finding.severity is Severity.WARNING]


def remedy(findings: list[Finding], code: str) -> str:
    return next(finding.remedy for finding in findings if finding.code == code)


def test_where_all_is_well_nothing_is_found() -> None:
    findings = examine()

    assert (faults(findings), warnings(findings)) == ([], [])


# --- Line


@pytest.mark.parametrize(
    ("app_id", "line"), [("300011112222", "test"), ("000001", "production")], ids=["on test", "on production"]
)
def test_an_app_of_one_line_on_the_other_is_found(app_id: str, line: str) -> None:
    url = next(each.url for each in LINES if each.name == line)

    findings = examine(APP_ID=app_id, PLATFORM_URL=url)

    assert faults(findings) == ["line-mixed"]
    assert next(each.url for each in LINES if each.name != line) in remedy(findings, "line-mixed")


def test_a_deployment_on_the_wrong_line_is_told_the_parameter() -> None:
    url = LINES[0].url

    findings = examine(origin=Origin.STACK, place={"egress": ("192.0.2.9",)}, PLATFORM_URL=url)

    assert "Line=production" in remedy(findings, "line-mixed")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://www.cmpassport.com/NumberAbility/h5/verifyVmMobileApi.htm", "platform-plain-http"),
        ("http://platform.example/verify", "platform-plain-http"),
        ("https://www.cmpassport.com/h5/verifyVmMobileApi.htm", "platform-address"),
    ],
)
def test_an_address_that_is_not_the_guides_is_found(url: str, code: str) -> None:
    findings = examine(PLATFORM_URL=url)

    assert faults(findings) == [code]
    assert "PLATFORM_URL" in remedy(findings, code)


def test_plain_http_is_the_test_lines_own() -> None:
    assert faults(examine(APP_ID="000001", PLATFORM_URL=LINES[0].url)) == []


def test_the_lines_are_the_templates() -> None:
    mapping = Template.read(ROOT / "template.yaml").document["Mappings"]["Lines"]

    assert {line.name: line.url for line in LINES} == {
        name: each["PlatformUrl"] for name, each in mapping.items()
    }


# --- Settings


def test_each_parameter_that_a_remedy_names_is_the_templates() -> None:
    declared = Template.read(ROOT / "template.yaml").document["Parameters"]

    assert {*PARAMETERS.values()} <= {*declared}


def test_functions_that_were_changed_apart_are_found() -> None:
    place = Place(
        Origin.STACK,
        "a stack",
        {PRESIGN: VARIABLES, VERIFY: {**VARIABLES, "SIGNATURE_ALGORITHM": "SHA256withRSA"}},
    )
    group, _ = take(STEPS[0], Facts(place, Asked(), NOW), FakeWorld())

    assert faults([*group.findings]) == ["settings-differ"]
    assert "SignatureAlgorithm" in remedy([*group.findings], "settings-differ")


def test_a_deployed_function_that_looks_for_aws_on_a_desk_is_found() -> None:
    findings = examine(
        origin=Origin.STACK, place={"egress": ("192.0.2.9",)}, AWS_ENDPOINT_URL="http://127.0.0.1:4566"
    )

    assert faults(findings) == ["aws-redirected"]
    assert "AwsEndpointUrl" in remedy(findings, "aws-redirected")


def test_what_depends_on_a_wrong_variable_is_not_looked_at() -> None:
    world = FakeWorld()

    findings = examine(world, Asked(probe=True), SIGNING_SECRET_ID="", TABLE_NAME="", PLATFORM_URL="")

    assert {*faults(findings)} == {"setting-wrong"}
    assert world.asked == ["verification", "pepper"]


@pytest.mark.parametrize(("limit", "found"), [("9", []), ("10", ["daily-limit-high"])])
def test_a_daily_limit_that_the_platform_reaches_first_is_a_warning(limit: str, found: list[str]) -> None:
    findings = examine(DAILY_ATTEMPT_LIMIT=limit)

    assert (faults(findings), warnings(findings)) == ([], found)
    assert all("DailyAttemptLimit" in remedy(findings, code) for code in found)


@pytest.mark.parametrize(
    ("connect", "read", "parameter"),
    [("2", "8", None), ("2", "8.5", "PlatformReadTimeout"), ("9", "5", "PlatformConnectTimeout")],
)
def test_a_timeout_above_the_deadline_is_a_warning(connect: str, read: str, parameter: str | None) -> None:
    findings = examine(PLATFORM_CONNECT_TIMEOUT=connect, PLATFORM_READ_TIMEOUT=read, PLATFORM_DEADLINE="8")

    found = [finding.code for finding in findings if parameter and parameter in finding.remedy]
    assert (faults(findings), warnings(findings)) == ([], found)
    assert found == (["timeout-above-deadline"] if parameter else [])


# --- Clock


@pytest.mark.parametrize(
    ("ahead", "severity"),
    [
        (20, Severity.OK),
        (-20, Severity.OK),
        (31, Severity.WARNING),
        (300, Severity.FAULT),
        (-9e4, Severity.FAULT),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off(ahead: float, severity: Severity) -> None:
    facts = Facts(Place(Origin.FILE, "", {}), Asked(), NOW)
    step = next(step for step in STEPS if step.title == "Clock")

    facts = step.look(facts, FakeWorld(ahead=timedelta(seconds=ahead)))

    assert [finding.severity for finding in the_clock_is_right(facts)] == [severity]


def test_a_clock_that_keeps_shanghais_time_as_utc_is_told_so() -> None:
    findings = examine(FakeWorld(ahead=timedelta(hours=8, seconds=3)))

    assert faults(findings) == ["clock-wrong", "clock-wrong"]
    assert "local time is set as UTC" in remedy(findings, "clock-wrong")


def test_a_clock_past_the_presign_window_is_told_so() -> None:
    findings = examine(FakeWorld(ahead=timedelta(hours=25, minutes=30)))

    assert "every preSign is refused as stale" in next(
        finding.what for finding in findings if finding.code == "clock-wrong"
    )


# --- Platform


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        (Stage.NAME, "platform-name"),
        (Stage.CONNECTION, "platform-connection"),
        (Stage.TLS, "platform-tls"),
        (Stage.HTTP, "platform-http"),
    ],
)
def test_a_platform_that_is_not_reached_is_a_fault_here_and_a_warning_of_a_deployment(
    stage: Stage, code: str
) -> None:
    world = FakeWorld(reached=Contact(stage, "planted"))

    here = examine(world, Asked(probe=True))
    deployed = examine(world, origin=Origin.STACK, place={"egress": ("192.0.2.9",)})

    assert (faults(here), warnings(here)) == ([code], [])
    assert (faults(deployed), warnings(deployed)) == ([], [code])
    assert "probe" in {finding.code for finding in here if finding.severity is Severity.UNKNOWN}


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    ends = Contact(Stage.ANSWER, "", "192.0.2.1", NOW + timedelta(days=13), 405, 0.2)

    findings = examine(FakeWorld(reached=ends))

    assert (faults(findings), warnings(findings)) == ([], ["platform-certificate"])


# --- Secrets


def test_a_reason_that_all_secrets_share_is_said_once_and_the_table_is_not_asked() -> None:
    world = FakeWorld(secrets={"signing": Trouble(Kind.CREDENTIALS_REFUSED, "ExpiredTokenException")})

    findings = examine(world, Asked(probe=True))

    assert faults(findings) == ["secret-credentials-refused"]
    assert world.asked == ["signing"]


def client_error(code: str, text: str = "planted") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": text}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ResourceNotFoundException"), Kind.NOT_FOUND),
        (client_error("ResourceNotFoundException", "for staging label: AWSCURRENT"), Kind.NO_VALUE),
        (client_error("ValidationError", "Stack with id x does not exist"), Kind.NOT_FOUND),
        (client_error("AccessDeniedException"), Kind.DENIED),
        (client_error("AccessDeniedException", "Access to KMS is not allowed"), Kind.KMS_DENIED),
        (client_error("DecryptionFailure"), Kind.KMS_DENIED),
        (client_error("InvalidRequestException", "marked for deletion"), Kind.DELETED),
        (client_error("ExpiredTokenException"), Kind.CREDENTIALS_REFUSED),
        (client_error("InvalidSignatureException"), Kind.CREDENTIALS_REFUSED),
        (client_error("InvalidSignatureException", "Signature not yet current"), Kind.CLOCK),
        (client_error("RequestTimeTooSkewed"), Kind.CLOCK),
        (client_error("ThrottlingException"), Kind.OTHER),
        (NoCredentialsError(), Kind.NO_CREDENTIALS),
        (ProfileNotFound(profile="planted"), Kind.NO_CREDENTIALS),
        (NoRegionError(), Kind.NO_REGION),
        (EndpointConnectionError(endpoint_url="planted"), Kind.UNREACHABLE),
        (ConnectTimeoutError(endpoint_url="planted"), Kind.UNREACHABLE),
        (UnknownServiceError(service_name="planted", known_service_names="x"), Kind.OTHER),
    ],
)
def test_what_aws_raises_is_told_apart_and_not_quoted(error: Any, kind: Kind) -> None:
    trouble = classify(error)

    assert trouble.kind is kind
    assert "planted" not in trouble.name


def test_swapped_secrets_are_told_by_the_names_of_what_holds_them_here() -> None:
    swapped: dict[str, Any] = {"SIGNING_SECRET_ID": "verification", "VERIFICATION_SECRET_ID": "signing"}

    in_a_file = examine(**swapped)
    deployed = examine(origin=Origin.STACK, place=DEPLOYED, **swapped)

    for findings in (in_a_file, deployed):
        assert {*faults(findings)} == {"secrets-swapped"}
        assert "--verification-secret" not in remedy(findings, "secrets-swapped")
    assert "VERIFICATION_SECRET_ID" in remedy(in_a_file, "secrets-swapped")
    assert "the parameters SigningSecretArn and VerificationSecretArn" in remedy(deployed, "secrets-swapped")


def test_the_platforms_key_in_the_place_of_the_reported_one_is_told_as_that() -> None:
    findings = examine(asked=Asked(public_key=PLATFORM.public_key))

    assert faults(findings) == ["platforms-key-reported"]
    assert KEYS.public_key in remedy(findings, "platforms-key-reported")
    assert "--replace" not in remedy(findings, "platforms-key-reported")


def test_one_key_in_both_places_is_told_without_a_guess_where_nothing_tells_whose_it_is() -> None:
    world = FakeWorld(secrets={**SECRETS, "signing": "{}"})

    findings = examine(world, Asked(public_key=PLATFORM.public_key))

    assert {*faults(findings)} == {"field-missing", "one-key-in-both-places"}


def arn(name: str, partition: str = "aws-cn", region: str = "cn-north-1") -> str:
    return f"arn:{partition}:secretsmanager:{region}:111122223333:secret:{name}-AbCdEf"


def arns(**where: str) -> dict[str, Any]:
    kinds = ("signing", "verification", "pepper")
    return {f"{kind.upper()}_SECRET_ID": arn(kind, **where) for kind in kinds}


def test_a_region_that_none_of_the_secrets_is_in_is_the_mistake_itself() -> None:
    world, elsewhere = FakeWorld(), {**arns(), "RECEIPT_SECRET_ID": arn("receipts")}
    asked = Asked(given=Given(region="eu-central-1"))

    findings = examine(world, asked, Origin.FILE, {"region": "eu-central-1"}, RECEIPTS="on", **elsewhere)

    assert faults(findings) == ["region-wrong"]
    assert "--region cn-north-1" in remedy(findings, "region-wrong")
    assert "AWS_REGION" not in remedy(findings, "region-wrong")
    assert not any("replicate" in finding.remedy.lower() for finding in findings)
    assert not {*elsewhere.values()} & {*world.asked}


def test_a_region_that_a_file_of_variables_names_is_set_there() -> None:
    findings = examine(origin=Origin.FILE, place={"region": "eu-central-1"}, **arns())

    assert faults(findings) == ["region-wrong"]
    assert "Set AWS_REGION in desk.env" in remedy(findings, "region-wrong")


def test_a_region_that_some_of_a_files_secrets_are_in_may_be_the_right_one() -> None:
    world, asked = FakeWorld(), Asked(given=Given(region="eu-central-1"))
    place = {"region": "eu-central-1"}

    findings = examine(world, asked, Origin.FILE, place, SIGNING_SECRET_ID=arn("signing"))

    assert faults(findings) == ["secret-wrong-region"]
    assert "--region cn-north-1" in remedy(findings, "secret-wrong-region")
    assert "eplicate it" not in remedy(findings, "secret-wrong-region")


def test_a_secret_of_another_region_is_replicated_within_its_partition_alone() -> None:
    here = {each: arn(each) for each in ("signing", "pepper")}
    world = FakeWorld(secrets={here[each]: SECRETS[each] for each in here})
    named = {f"{each.upper()}_SECRET_ID": here[each] for each in here}

    def remedy_of(secret: str) -> str:
        place = {**DEPLOYED, "region": "cn-north-1"}
        changed: dict[str, Any] = {**named, "VERIFICATION_SECRET_ID": secret}
        findings = examine(world, origin=Origin.STACK, place=place, **changed)
        assert faults(findings) == ["secret-wrong-region"]
        return remedy(findings, "secret-wrong-region")

    assert "Replicate" in remedy_of(arn("verification", region="cn-northwest-1"))
    assert "Replicate" not in remedy_of(arn("verification", "aws", "eu-central-1"))
    assert "VerificationSecretArn" in remedy_of(arn("verification", "aws", "eu-central-1"))


# --- Pages and origins


@pytest.mark.parametrize(
    ("page", "referer", "origin"),
    [
        ("http://www.abc.com/a/mobile.html/#/abc", "http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
        ("http://www.abc.com/a/mobile.html/?abc", "http://www.abc.com/a/mobile.html/", "http://www.abc.com"),
        ("https://www.abc.com/a/mobile.html", "https://www.abc.com/a/mobile.html", "https://www.abc.com"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a", "http://127.0.0.1:8080"),
        ("https://WWW.abc.com:443", "https://www.abc.com/", "https://www.abc.com"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a", "http://[::1]:8080"),
    ],
)
def test_referer_and_origin_are_the_guides(page: str, referer: str, origin: str) -> None:
    assert is_page(page)
    assert (referer_of(page), origin_of(page)) == (referer, origin)


@pytest.mark.parametrize(
    "page",
    [
        "www.abc.com/a",
        "https://",
        "https://*.abc.com/",
        "https://a.com/,b",
        "ftp://a.com/",
        "http://a.com:x/",
    ],
)
def test_what_is_no_page_is_told(page: str) -> None:
    assert not is_page(page)


def test_an_https_page_without_the_meta_element_is_a_fault() -> None:
    page = "https://www.abc.com/login.html"
    world = FakeWorld(pages={page: Fetched(200, {}, b"<html><head><meta charset=utf-8></head></html>")})

    findings = examine(world, Asked(pages=(page,)))

    assert faults(findings) == ["page-no-referrer"]
    assert '<meta content="always" name="referrer">' in remedy(findings, "page-no-referrer")


def test_a_page_whose_origin_is_misspelt_is_no_second_fault() -> None:
    page = "https://www.abc.com/login.html"
    world = FakeWorld(pages={page: Fetched(200, {}, b'<meta name=referrer content="always">')})

    findings = examine(world, Asked(pages=(page,)), ALLOWED_ORIGINS="https://www.abc.com/")

    assert faults(findings) == ["origin-trailing-slash"]


def test_a_plain_origin_in_production_is_a_warning() -> None:
    findings = examine(ALLOWED_ORIGINS="http://www.abc.com,http://127.0.0.1:8080")

    assert (faults(findings), warnings(findings)) == ([], ["origin-plain-http"])


# --- Outgoing address


@pytest.mark.parametrize(
    ("place", "code", "severity"),
    [
        ({"egress": ("192.0.2.9", "192.0.2.10")}, None, None),
        ({}, "egress-not-fixed", Severity.WARNING),
        ({"own_network": True}, "egress", Severity.UNKNOWN),
    ],
    ids=["fixed", "Lambda's own", "own VPC"],
)
def test_a_deployments_outgoing_address_is_known_or_not(
    place: dict[str, Any], code: str | None, severity: Severity | None
) -> None:
    findings = examine(origin=Origin.STACK, place=place)

    found = [finding for finding in findings if finding.code.startswith("egress")]
    assert [(finding.code, finding.severity) for finding in found] == ([(code, severity)] if code else [])


def test_an_answer_without_a_public_address_is_none() -> None:
    world = FakeWorld(pages={"https://address.example/": Fetched(200, {}, b"127.0.0.1 or 10.0.0.1")})

    findings = examine(world, Asked(address_service="https://address.example/"))

    assert warnings(findings) == ["egress-service"]


# --- Probe


def reply(status: int, **document: str) -> Fetched:
    return Fetched(status, {}, json.dumps(document).encode())


DEPLOYED = {"egress": ("192.0.2.9",), "api": "https://api.example.com"}
A_STACK = Place(Origin.STACK, "a stack", {}, api="https://api.example.com")


@pytest.mark.parametrize(
    ("verify", "code", "words"),
    [
        (reply(422, code="token_rejected", resultCode="120020"), None, ""),
        (reply(502, code="platform_rejected", resultCode="110004"), "probe-110004", "EgressAddresses"),
        (reply(503, code="platform_unreachable"), "probe-platform-unreachable", "NAT"),
        (reply(504, code="platform_timeout"), "probe-platform-timeout", "PlatformLatency"),
        (reply(500, code="internal_error"), "probe-internal-error", "requestId"),
        (reply(403, code="origin_not_allowed"), "probe-origin-not-allowed", "AllowedOrigins"),
        (reply(404, message="Not Found"), "probe-api", "access log"),
        (Fetched(error="NameResolutionError"), "probe-api", "access log"),
    ],
)
def test_a_deployment_is_probed_through_its_own_function(
    verify: Fetched, code: str | None, words: str
) -> None:
    world = FakeWorld(replies={"verify": verify, "presign": reply(403, code="origin_not_allowed")})

    findings = examine(world, Asked(probe=True), origin=Origin.STACK, place=DEPLOYED)

    assert faults(findings) == ["presign-origin-not-allowed", *([code] if code else [])]
    assert VARIABLES["PLATFORM_URL"] not in world.asked
    if code:
        assert words in remedy(findings, code)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (PlatformUnreachableError("planted"), "probe-platform-unreachable"),
        (PlatformSilentError("planted"), "probe-platform-timeout"),
    ],
)
def test_a_platform_that_fails_the_probe_is_said(answer: Exception, code: str) -> None:
    assert faults(examine(FakeWorld(answer=answer), Asked(probe=True))) == [code]


def answer(code: str) -> bytes:
    return json.dumps({"header": {"resultCode": code}, "body": {}}).encode()


@pytest.mark.parametrize("code", sorted({*REMEDIES} - {"000", "001", "120020", "121011"}))
def test_each_return_code_comes_with_its_remedy(code: str) -> None:
    findings = examine(FakeWorld(answer=answer(code)), Asked(probe=True))

    assert faults(findings) == [f"probe-{code}"]
    assert remedy(findings, f"probe-{code}").endswith(REMEDIES[code].remedy)


def test_a_desks_own_address_is_the_one_to_report_from_a_desk() -> None:
    world = FakeWorld(answer=answer("110004"))
    through = FakeWorld(
        replies={"verify": reply(502, resultCode="110004"), "presign": reply(403, code="origin_not_allowed")}
    )

    here = examine(world, Asked(probe=True))
    deployed = examine(through, Asked(probe=True), origin=Origin.STACK, place=DEPLOYED)

    assert "--address-service" in remedy(here, "probe-110004")
    assert "--address-service" not in remedy(deployed, "probe-110004")


def test_a_mixed_up_line_explains_the_probes_answer() -> None:
    findings = examine(FakeWorld(answer=answer("103605")), Asked(probe=True), PLATFORM_URL=LINES[0].url)

    assert faults(findings) == ["line-mixed"]
    assert "103605" in next(finding.what for finding in findings if finding.code == "probe")


def test_a_reported_key_that_is_none_explains_no_answer() -> None:
    findings = examine(FakeWorld(answer=answer("130018")), Asked(probe=True, public_key="no key at all"))

    assert len(faults(findings)) == 2
    assert faults(findings)[1] == "probe-130018"


def test_an_api_that_hides_its_answer_from_the_page_is_found() -> None:
    signed: list[str] = []

    class Signing(FakeWorld):
        def post(self, url: str, origin: str, body: Mapping[str, str]) -> Fetched:  # noqa: ARG002 - the world's own form
            if "preSign" not in body:
                return reply(422, code="token_rejected", resultCode="120020")
            signed.append(body["preSign"])
            sign = SCHEME.sign(load_private_key(KEYS.private_key), body["preSign"])
            return replace(
                reply(200, sign=sign), headers={"access-control-allow-origin": "https://m.abc.com"}
            )

    findings = examine(Signing(), Asked(probe=True), origin=Origin.STACK, place=DEPLOYED)

    assert faults(findings) == ["presign-cors"]
    assert signed[0].startswith(VARIABLES["APP_ID"])


@pytest.mark.parametrize(
    ("signer", "code", "allowed", "expected"),
    [
        (KEYS, "120020", "https://www.abc.com", Verdict.ALL_RIGHT),
        (PLATFORM, "120020", "https://www.abc.com", Verdict.PRESIGN_LAGS),
        (PLATFORM, "120020", "", Verdict.NOT_RIGHT),  # more is amiss than waiting mends
        (KEYS, "130018", "https://www.abc.com", Verdict.NOT_RIGHT),
        (PLATFORM, "130018", "https://www.abc.com", Verdict.NOT_RIGHT),
    ],
)
def test_a_probe_is_right_where_the_platform_and_presign_have_the_present_key(
    signer: CustomerKeys, code: str, allowed: str, expected: Verdict
) -> None:
    class Signing(FakeWorld):
        def post(self, url: str, origin: str, body: Mapping[str, str]) -> Fetched:
            del origin
            if url.endswith("/verify"):
                return reply(422, code="token_rejected", resultCode=code)
            sign = SCHEME.sign(load_private_key(signer.private_key), body["preSign"])
            answered = json.dumps({"sign": sign}).encode()
            return Fetched(200, {"access-control-allow-origin": allowed}, answered)

    variables = dict.fromkeys((PRESIGN, VERIFY), VARIABLES)
    facts = Facts(replace(A_STACK, variables=variables), Asked(probe=True), NOW)
    for step in STEPS:
        _, facts = take(step, facts, Signing())

    assert verdict(facts) is expected


def test_where_no_probe_was_sent_nothing_is_known_to_be_right() -> None:
    assert verdict(Facts(Place(Origin.FILE, "", {}), Asked(), NOW)) is Verdict.NOT_RIGHT


# --- Receipts


def receipt_keys(*sign_from: datetime) -> tuple[str, list[str]]:
    """Give a receipt secret whose keys sign from these times on, and the keys' identifiers."""
    keys = [ECKey.generate_key("P-256") for _ in sign_from]
    entries = [
        {"privateKey": key.as_pem(private=True).decode(), "signFrom": time.isoformat()}
        for key, time in zip(keys, sign_from, strict=True)
    ]
    return json.dumps({"keys": entries, "hashKey": "h" * 32}), [key.thumbprint() for key in keys]


@pytest.mark.parametrize(
    ("lead", "published", "found"),
    [
        (timedelta(minutes=9), 1, ["receipt-key-early"]),
        (timedelta(minutes=9), 2, []),
        (timedelta(hours=1), 1, []),
    ],
    ids=["too soon", "published already", "in time"],
)
def test_a_receipt_key_that_takes_over_before_it_is_known_is_a_warning(
    lead: timedelta, published: int, found: list[str]
) -> None:
    text, kids = receipt_keys(NOW - timedelta(days=1), NOW + lead)
    jwks = json.dumps({"keys": [{"kid": kid} for kid in kids[:published]]}).encode()
    address = "https://api.example.com/.well-known/jwks.json"
    world = FakeWorld(secrets={**SECRETS, "receipts": text}, pages={address: Fetched(200, {}, jwks)})

    findings = examine(
        world,
        origin=Origin.STACK,
        place=DEPLOYED,
        RECEIPTS="on",
        RECEIPT_SECRET_ID="receipts",
    )

    assert (faults(findings), warnings(findings)) == ([], found)


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'{"keys": [{}]}'])
def test_keys_that_are_not_published_are_a_fault(body: bytes) -> None:
    text, _ = receipt_keys(NOW - timedelta(days=1))
    address = "https://api.example.com/.well-known/jwks.json"
    world = FakeWorld(secrets={**SECRETS, "receipts": text}, pages={address: Fetched(404, {}, body)})

    findings = examine(
        world, origin=Origin.STACK, place=DEPLOYED, RECEIPTS="on", RECEIPT_SECRET_ID="receipts"
    )

    assert faults(findings) == ["receipt-keys-missing"]
    assert "Receipts=on" in remedy(findings, "receipt-keys-missing")


def with_receipts(**changes: str) -> Place:
    """Give a deployment with receipts, whose function that publishes keys has these variables changed."""
    on = {**VARIABLES, "RECEIPT_SECRET_ID": "receipts"}
    keys = {"RECEIPT_SECRET_ID": "receipts", **changes}
    return Place(Origin.STACK, "a stack", {PRESIGN: VARIABLES, VERIFY: on, RECEIPT_KEYS: keys})


@pytest.mark.parametrize(
    ("changes", "found", "said"),
    [
        ({}, [], ""),
        ({"RECEIPT_SECRET_ID": "other"}, ["settings-differ"], "ReceiptSecretArn"),
        ({"SECRET_MAX_AGE_SECONDS": "3001"}, ["setting-wrong"], "SecretMaxAgeSeconds"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ["aws-redirected"], "AwsEndpointUrl"),
    ],
    ids=["right", "another secret", "a wrong value", "AWS elsewhere"],
)
def test_the_function_that_publishes_the_keys_is_looked_at_as_the_others_are(
    changes: dict[str, str], found: list[str], said: str
) -> None:
    group, _ = take(STEPS[0], Facts(with_receipts(**changes), Asked(), NOW), FakeWorld())

    assert faults([*group.findings]) == found
    assert all(
        said in finding.remedy and RECEIPT_KEYS in finding.what
        for finding in group.findings
        if found == [finding.code]
    )


def test_the_function_that_publishes_the_keys_is_asked_for_where_receipts_are_on() -> None:
    functions = FakeLambda(Environment={"Variables": {**VARIABLES, "RECEIPTS": "on"}})

    place = deployed_place("name", "cn-north-1", FakeCloudFormation(Release="2026-11-24"), functions)

    assert place.variables.keys() == {PRESIGN, VERIFY, RECEIPT_KEYS}
    assert {"FunctionName": f"physical-{RECEIPT_KEYS}", "Qualifier": "live"} in functions.asked


def test_a_function_that_publishes_the_keys_and_has_failed_is_found() -> None:
    functions = FakeLambda(State="Failed", Environment={"Variables": {**VARIABLES, "RECEIPTS": "on"}})

    place = deployed_place("name", "cn-north-1", FakeCloudFormation(), functions)

    assert [RECEIPT_KEYS in finding.what for finding in place.findings][-1]
    assert place.findings[-1].code == "function-failed"


# --- Places


class FakeCloudFormation:
    """Knows one stack."""

    def __init__(self, status: str = "UPDATE_COMPLETE", **parameters: str) -> None:
        self._stack = {
            "StackStatus": status,
            "Outputs": [
                {"OutputKey": "ApiUrl", "OutputValue": "https://api.example.com/"},
                {"OutputKey": "EgressAddresses", "OutputValue": "192.0.2.9, 192.0.2.10"},
            ],
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        }

    def describe_stacks(self, **_: str) -> Any:
        return {"Stacks": [self._stack]}

    def describe_stack_resource(self, **names: str) -> Any:
        return {"StackResourceDetail": {"PhysicalResourceId": f"physical-{names['LogicalResourceId']}"}}


class FakeLambda:
    """Knows every function."""

    def __init__(self, latest: Mapping[str, Any] | None = None, **members: Any) -> None:
        self.asked: list[dict[str, str]] = []
        self._members = {"Environment": {"Variables": VARIABLES}, "State": "Active", **members}
        self._latest = self._members if latest is None else {**self._members, **latest}

    def get_function_configuration(self, **names: str) -> Any:
        self.asked.append(names)
        return self._members if "Qualifier" in names else self._latest


def test_a_deployment_with_a_release_is_looked_at_as_it_runs() -> None:
    functions = FakeLambda()

    place = deployed_place("name", "cn-north-1", FakeCloudFormation(Release="2026-11-24"), functions)

    assert (place.api, place.egress) == ("https://api.example.com", ("192.0.2.9", "192.0.2.10"))
    assert place.variables[VERIFY] == VARIABLES
    assert [asked for asked in functions.asked if "Qualifier" in asked] == [
        {"FunctionName": f"physical-{name}", "Qualifier": "live"} for name in (PRESIGN, VERIFY)
    ]


@pytest.mark.parametrize(
    ("latest", "said"),
    [
        ({"Environment": {"Variables": {**VARIABLES, "DAILY_ATTEMPT_LIMIT": "8"}}}, "DailyAttemptLimit"),
        ({"Environment": {"Variables": {**VARIABLES, "RECEIPTS": "on"}}}, "Receipts"),
        ({"Environment": {"Variables": {**VARIABLES, "POWERTOOLS_LOG_LEVEL": "DEBUG"}}}, "LogLevel"),
        ({"CodeSha256": "another"}, "its code"),
        ({"Layers": [{"Arn": "arn:layer:2"}]}, "its layers"),
        ({"MemorySize": 2048}, "MemorySize"),
    ],
    ids=["a setting", "receipts turned on", "the log's level", "code", "layers", "memory"],
)
def test_what_was_deployed_without_a_new_release_is_a_warning(latest: dict[str, Any], said: str) -> None:
    functions = FakeLambda(latest, CodeSha256="one", MemorySize=1024, Layers=[{"Arn": "arn:layer:1"}])

    place = deployed_place("name", "cn-north-1", FakeCloudFormation(Release="2026-11-24"), functions)
    group, _ = take(STEPS[0], Facts(place, Asked(), NOW), FakeWorld())

    found = [finding for finding in group.findings if finding.severity is not Severity.OK]
    assert [finding.code for finding in found] == ["not-released"]
    assert found[0].severity is Severity.WARNING
    assert PRESIGN in found[0].what
    assert VERIFY in found[0].what
    assert said in found[0].what
    assert "Release" in found[0].remedy


@pytest.mark.parametrize(
    ("status", "release"), [("UPDATE_COMPLETE", "off"), ("UPDATE_IN_PROGRESS", "2026-11-24")]
)
def test_without_a_release_or_while_one_takes_over_nothing_waits_for_one(status: str, release: str) -> None:
    functions = FakeLambda({"CodeSha256": "another"}, CodeSha256="one")

    place = deployed_place("name", "cn-north-1", FakeCloudFormation(status, Release=release), functions)

    assert place.unreleased == {}


@pytest.mark.parametrize(
    ("status", "members", "codes"),
    [
        ("UPDATE_COMPLETE", {}, ["stack-found"]),
        ("UPDATE_ROLLBACK_COMPLETE", {}, ["stack-rolled-back"]),
        ("UPDATE_IN_PROGRESS", {}, ["stack-in-progress"]),
        ("CREATE_COMPLETE", {"State": "Failed"}, ["stack-found", "function-failed", "function-failed"]),
    ],
)
def test_the_state_of_a_deployment_is_said(status: str, members: dict[str, Any], codes: list[str]) -> None:
    place = deployed_place("name", "cn-north-1", FakeCloudFormation(status), FakeLambda(**members))

    assert [finding.code for finding in place.findings] == codes


@pytest.mark.parametrize(
    ("status", "members", "code"),
    [
        ("ROLLBACK_COMPLETE", {}, "stack-unfinished"),
        (
            "CREATE_COMPLETE",
            {"Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}},
            "function-variables-denied",
        ),
    ],
)
def test_a_deployment_that_cannot_be_seen_is_one_fault(
    status: str, members: dict[str, Any], code: str
) -> None:
    with pytest.raises(NoPlaceError) as caught:
        deployed_place("name", "cn-north-1", FakeCloudFormation(status), FakeLambda(**members))

    assert (caught.value.finding.code, caught.value.finding.severity) == (code, Severity.FAULT)


def test_a_probe_whose_number_is_used_up_here_is_a_warning() -> None:
    world = FakeWorld(
        replies={"verify": reply(429, code="attempts_exhausted"), "presign": reply(500, code="x")}
    )

    findings = examine(world, Asked(probe=True), origin=Origin.STACK, place=DEPLOYED)

    assert (faults(findings), warnings(findings)) == (["presign-api"], ["probe-attempts-exhausted"])


def test_a_file_of_variables_is_read_as_shells_write_it(tmp_path: Path) -> None:
    path = tmp_path / "desk.env"
    path.write_text(
        "\ufeff# a comment\n\nexport APP_ID='000001'\n  TABLE_NAME = attempts \nEMPTY=\nURL=http://a/?b=c\n"
    )

    variables = file_place(path).variables[PRESIGN]

    assert variables == {"APP_ID": "000001", "TABLE_NAME": "attempts", "EMPTY": "", "URL": "http://a/?b=c"}


def test_a_file_that_is_no_text_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "desk.env"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ToolError, match="no text") as caught:
        file_place(path)
    assert caught.value.exit_code == 2


# --- The report

GROUPS = [
    Group("First", (fine("a", "All is well."), warning("b", "It may break.", "Mend it."))),
    Group("Empty", ()),
    Group("Second", (unknown("c", "Nobody looked.", ""), fault("d", "It is broken.", "Mend it now."))),
]


class Terminal(io.StringIO):
    """A terminal, as far as colours go."""

    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO) -> str:
    paper = Paper(stream)
    for group in GROUPS:
        paper.group(group)
    paper.summary()
    return stream.getvalue()


def test_the_report_is_grouped_marked_and_counted() -> None:
    assert printed(io.StringIO()) == (
        "\nFirst\n  ✓ All is well.\n  ! It may break.\n    → Mend it.\n"
        "\nSecond\n  · Nobody looked.\n  ✗ It is broken.\n    → Mend it now.\n"
        "\n1 fault, 1 warning, 1 in order, 1 not checked.\n"
    )


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31m✗\x1b[0m It is broken." in printed(Terminal())
    assert "\x1b" not in printed(io.StringIO())

    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(Terminal())


def test_the_json_document_has_all_of_it() -> None:
    stream = io.StringIO()

    write_json(stream, "a place", GROUPS, {"origin": "https://www.abc.com"})

    document = json.loads(stream.getvalue())
    assert (document["place"], document["ok"]) == ("a place", False)
    assert document["groups"][0]["findings"][1] == {
        "code": "b",
        "severity": "warning",
        "what": "It may break.",
        "remedy": "Mend it.",
    }
    assert document["toReport"] == {"origin": "https://www.abc.com"}


def test_a_warning_does_not_fail() -> None:
    assert failed(GROUPS)
    assert not failed(GROUPS[:2])


def test_only_well_formed_origins_are_to_be_reported() -> None:
    variables = {VERIFY: {"ALLOWED_ORIGINS": "https://www.abc.com/,https://m.abc.com,https://m.abc.com"}}
    place = Place(Origin.STACK, "", variables, egress=("192.0.2.9",))

    assert to_report(Facts(place, Asked(), NOW)) == {
        "请求来源 (origin)": "https://m.abc.com",
        "出口 IP (white list)": "192.0.2.9",
    }


# --- Commands that are shown


def test_commands_that_are_shown_name_the_places_secrets_and_what_the_operator_named() -> None:
    variables = {
        function: {**VARIABLES, "SIGNING_SECRET_ID": "shop/signing"} for function in (PRESIGN, VERIFY)
    }
    variables[VERIFY] = {**variables[VERIFY], "RECEIPT_SECRET_ID": "receipts"}
    named = Given(deployment=("--stack", "shop"), profile="two words", region="eu-central-1")
    stream = io.StringIO()

    examine_place(
        Place(Origin.FILE, "desk.env", variables),
        Asked(given=named),
        FakeWorld(secrets={**SECRETS, "shop/signing": "no JSON", "receipts": "{}"}),
        Paper(stream),
    )

    words = " ".join(stream.getvalue().split())
    aws = "--profile 'two words' --region eu-central-1"
    assert re.search(
        rf"`python -m tools keys put signing --private FILE [^`]*--secret shop/signing {re.escape(aws)}`",
        words,
    )
    assert f"`python -m tools keys receipts new --secret receipts {aws}`" in words
    assert not re.findall(r"`python -m tools keys [^`]*(?<!--region eu-central-1)`", words)
