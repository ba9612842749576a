"""What the checks are given: all that was seen, frozen; and the world in which it is seen, handed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from presign.settings import Settings as PreSignSettings
from tools.commands import Given
from tools.doctor.place import Place
from tools.trouble import Trouble
from verify.platform import Limits
from verify.settings import Settings as VerifySettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator asked for, beside the place.

    Attributes
    ----------
    pages
        Addresses of pages that integrate the SDK.
    public_key
        The customer's public key as reported to the open platform; None where no file was named.
    address_service
        Who may be asked for this machine's outgoing address; None for nobody.
    probe
        Whether one signed request may be sent to the platform.
    given
        What the command line names, for the commands that are shown.
    """

    pages: tuple[str, ...] = ()
    public_key: str | None = None
    address_service: str | None = None
    probe: bool = False
    given: Given = field(default_factory=Given)


@dataclass(frozen=True, slots=True)
class SettingFault:
    """A variable that a function refuses.

    Attributes
    ----------
    function
        Logical id of the function.
    variable
        Its name.
    reason
        The function's own words, which quote no value.
    """

    function: str
    variable: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The functions' settings as they parse them; what is wrong has a stand-in's value.

    Attributes
    ----------
    presign, verify
        The settings.
    faults
        Every variable that is wrong, of any function.
    """

    presign: PreSignSettings | None
    verify: VerifySettings | None
    faults: tuple[SettingFault, ...]

    def has(self, *variables: str) -> bool:
        """Tell whether the verification's settings can be relied on for these variables."""
        return self.verify is not None and not {fault.variable for fault in self.faults} & {*variables}


@dataclass(frozen=True, slots=True)
class Reading:
    """A secret as it was read: its text, or why there is none."""

    text: str | None = field(default=None, repr=False)
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as DynamoDB describes it, or why it cannot be seen.

    Attributes
    ----------
    keys
        Name, role and type of each key attribute, as in `id HASH S`.
    status
        Such as ACTIVE.
    expires_by
        The attribute by which items expire; None where they do not.
    """

    keys: tuple[str, ...] = ()
    status: str = ""
    expires_by: str | None = None
    trouble: Trouble | None = None


class Stage(Enum):
    """How far a connection came."""

    NAME = "name"
    CONNECTION = "connection"
    TLS = "TLS"
    HTTP = "HTTP"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Contact:
    """How reaching the platform went.

    Attributes
    ----------
    reached
        The stage at which it ended; ANSWER where it did not fail.
    detail
        What failed, in short.
    address
        The address that was connected to.
    certificate_until
        When the certificate ends; None without TLS.
    status
        The answer's HTTP status.
    seconds
        How long it took.
    """

    reached: Stage
    detail: str = ""
    address: str = ""
    certificate_until: datetime | None = None
    status: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, or why there is none.

    Attributes
    ----------
    status
        0 where there was no answer.
    headers
        Their names in lower case.
    body
        Its first MiB.
    error
        The kind of failure, in short; empty where there was an answer.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that this machine's was held against.

    Attributes
    ----------
    whose
        Whose it is, for people.
    ahead
        Seconds by which this machine is ahead of it; None where it could not be asked.
    """

    whose: str
    ahead: float | None


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of the signed probe.

    Attributes
    ----------
    code
        The platform's return code; empty where there was none.
    problem
        The code of the refusal with which it ended, in the API's own terms; empty where there was an answer.
    detail
        More about the failure, in short.
    """

    code: str = ""
    problem: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SignedPreSign:
    """What POST /presign answered to a well-formed preSign.

    Attributes
    ----------
    origin
        The origin that was named.
    reply
        The answer.
    pre_sign, sign
        What was sent, and the signature that came; empty where none did.
    """

    origin: str
    reply: Fetched
    pre_sign: str = field(repr=False)
    sign: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen so far. A step adds what it looks at; None stands for: not looked at."""

    place: Place
    asked: Asked
    now: datetime
    settings: Parsed = Parsed(None, None, ())
    clocks: tuple[Clock, ...] = ()
    contact: Contact | None = None
    secrets: Mapping[str, Reading] = field(default_factory=dict)
    table: Table | None = None
    pages: Mapping[str, Fetched] = field(default_factory=dict)
    own_address: Fetched | None = None
    published: Fetched | None = None
    probe: Probe | None = None
    presign: SignedPreSign | None = None


class World(Protocol):
    """Whatever is not in this process: the one way in which checks' facts are seen."""

    def now(self) -> datetime:
        """Give the present instant, aware."""

    def aws_address(self) -> str | None:
        """Give the address of AWS's Secrets Manager; None where no region is known."""

    def server_clock(self, url: str) -> datetime | None:
        """Give a server's own time, from the Date of whatever it answers."""

    def contact(self, url: str, limits: Limits) -> Contact:
        """Reach the platform as the functions do, with a request that asks for nothing."""

    def read_secret(self, secret_id: str) -> Reading:
        """Read a secret."""

    def describe_table(self, name: str) -> Table:
        """Have a table described."""

    def get(self, url: str) -> Fetched:
        """Fetch an address; redirections are not followed."""

    def post(self, url: str, origin: str, body: Mapping[str, str]) -> Fetched:
        """Post JSON as a page of this origin does."""

    def ask_platform(self, url: str, limits: Limits, request: bytes) -> bytes:
        """Send a request to the platform as the verify function does; raises what that does."""
