"""`keys rotate`: changes the customer's key pair, in steps that can be taken up again and taken back.

The new key waits in the signing secret under the label AWSPENDING, which the functions do not read. The
switch moves AWSCURRENT to it, the way back moves it to AWSPREVIOUS; until the platform has been seen to take
the new key, AWSPENDING stays where it is. So the labels alone say how far a rotation is. A key that is
forgotten loses AWSPREVIOUS too, which Secrets Manager gave it when it was taken back.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cmpassport.secret_cache import RETRY_SECONDS, read_object
from tools.aws import Aws
from tools.examination import SIGNING, find, is_named
from tools.findings import FOUND, Finding, Severity, ToolError, UseError, fault
from tools.given import SecretKind, given, is_name
from tools.key_text import fingerprint
from tools.keys.pair import make_key, show_public_half
from tools.messages import text
from tools.output import Output
from tools.secret_text import examine_secret, read_own, signing_text
from tools.signed_probe import probe
from tools.store import CURRENT, PENDING, PREVIOUS, Secret

_PAUSE: Final = 30
"""Seconds between two probes while /presign still has the former key."""
_LOOKS: Final = 12
"""How often it is looked at: for a little longer than SECRET_MAX_AGE_SECONDS is by default."""
_MOMENT: Final = RETRY_SECONDS + 1
"""Seconds after which a first refusal is looked at again: at a refusal /verify reads the secret anew, at most
every RETRY_SECONDS."""
_LAGS: Final = frozenset({"presign-signature", "probe"})
"""What is found while the platform takes the key and /presign signs with the former one still."""
_TAKEN: Final = frozenset({"presign", "probe"})
"""What is found where both functions have the key and the platform takes it."""
_REFUSED: Final = frozenset({"130018", "130016"})
"""How the platform says that it has another key."""


class Phase(Enum):
    """How far a rotation is, as the secret's labels say."""

    AT_REST = "at-rest"
    PREPARED = "prepared"
    SWITCHED = "switched"


@dataclass(frozen=True, slots=True)
class Rotation:
    """A signing secret in the course of a rotation, and its versions by label."""

    secret: Secret
    versions: Mapping[str, str]

    @classmethod
    def of(cls, secret: Secret) -> "Rotation":
        """Look how far it is; a ToolError where the secret has no value, or holds something else."""
        versions = secret.describe().versions
        read_own(secret, SecretKind.SIGNING)
        return cls(secret, versions)

    @property
    def phase(self) -> Phase:
        """How far it is."""
        pending = self.versions.get(PENDING)
        if pending is None:
            return Phase.AT_REST
        return Phase.SWITCHED if pending == self.versions[CURRENT] else Phase.PREPARED

    def find(self, label: str) -> RSAPublicKey | None:
        """Return the public half of the key that a label names; None where it is broken."""
        key = examine_secret(self.secret.read(label), self.secret.name, SecretKind.SIGNING).own
        return None if key is None else key.public_key()

    def public_half(self, label: str) -> RSAPublicKey:
        """Return the public half of the key that a label names; a ToolError where it is broken."""
        key = self.find(label)
        if key is None:
            raise ToolError("label-broken", secret=self.secret.name, label=label)
        return key

    def out_of_turn(self) -> UseError:
        """Return the error of a step that cannot be taken now: how far it is, and which step can."""
        way = text("next-switch" if self.phase is Phase.PREPARED else "ways-on")
        return UseError(f"phase-{self.phase.value}", secret=self.secret.name, way=way)


def run(options: argparse.Namespace, output: Output) -> int:
    """Take the step that was asked for, or lead through all of them."""
    if options.step is None and not is_named(options):
        options.stack = output.ask("ask-stack")
        if not options.stack:
            raise UseError("nothing-entered")
    if is_named(options):
        options.secret = _secret_of_target(options)
    output.given = given(vars(options))
    secret = Secret.of(options)
    if options.step is not None:
        rotation = Rotation.of(secret)
        # Where no rotation is under way, --to says what is meant.
        if options.step == "rollback" and rotation.phase is not Phase.AT_REST:
            output.confirm(f"ask-rollback-{rotation.phase.value}")
        return _STEPS[options.step](rotation, options, output)
    target = options.stack or options.state
    output.tell("rotation-of", secret=secret.name, region=secret.region, target=target)
    return _guide(secret, options, output)


def _secret_of_target(options: argparse.Namespace) -> str:
    """Return the signing secret of the deployment that is named."""
    target = find(options)
    used = {each[SIGNING].strip() for each in target.variables.values() if SIGNING in each}
    name = next(iter(used), "")
    certain = len(used) == 1 and is_name(name)
    if certain and options.secret not in {None, name}:
        arns = {Secret(Aws(options), each).describe().arn for each in (options.secret, name)}
        certain = len(arns) == 1
    if not certain:
        raise UseError("signs-with-another", target=target.name)
    return name


def _guide(secret: Secret, options: argparse.Namespace, output: Output) -> int:
    rotation = Rotation.of(secret)
    if rotation.phase is not Phase.SWITCHED:
        output.tell("gap")
        if rotation.phase is Phase.AT_REST:
            output.confirm("ask-new-pair")
        _prepare(rotation, options, output)
        output.confirm("ask-saved", "not-switched-yet")
        _switch(Rotation.of(secret), options, output)
    try:
        while True:
            try:
                if _verify(Rotation.of(secret), options, output) == 0:
                    return 0
            except ToolError as error:
                output.fail(error.text)
                output.tell("ways-on")
            answer = output.ask("ask-what-now").lower()
            if answer == "rollback":
                return _rollback(Rotation.of(secret), options, output)
            if answer != "again":
                return FOUND
    except (ToolError, KeyboardInterrupt):
        output.tell("ways-on")
        raise


# The steps. Each can be taken again after a kill: the labels, and no memory, say what is left to do.
# `prepare`, `switch` and `verify` do no second time what is done. `rollback` goes one step back, down to
# where no rotation is under way; a rotation that is done is taken back only to a key that is named.


def _prepare(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    secret = rotation.secret
    if rotation.phase is Phase.SWITCHED:
        raise rotation.out_of_turn()
    if rotation.phase is Phase.AT_REST:
        rotation.public_half(CURRENT)  # what is broken is replaced, not rotated: nobody could go back to it
        secret.put(signing_text(make_key(options.bits, output), read_object(secret.read())), PENDING)
    output.tell("key-waits", secret=secret.name)
    show_public_half(rotation.public_half(PENDING), output)
    if options.step:
        output.tell("gap")
        output.tell("next-switch")
    return 0


def _switch(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.AT_REST:
        raise rotation.out_of_turn()
    if rotation.phase is Phase.PREPARED:
        versions = rotation.versions
        rotation.public_half(PENDING)
        rotation.secret.move(CURRENT, to=versions[PENDING], source=versions[CURRENT])
    output.tell("switched")
    if options.step:
        output.tell("ways-on", **({} if is_named(options) else {"at": " --stack NAME"}))
    return 0


def _verify(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is not Phase.SWITCHED:
        raise rotation.out_of_turn()
    if not is_named(options):
        raise UseError("verify-unnamed")
    output.tell("sending-probe")
    key, looks = rotation.public_half(CURRENT), 1
    findings = look(options, key)
    if any(each.text.values.get("code") in _REFUSED for each in findings):
        options.sleep(_MOMENT)
        findings = look(options, key)
    output.group("step-probe", findings)
    while (keys := {each.text.key for each in findings}) >= _LAGS and looks < _LOOKS:
        output.tell("looking-again", pause=_PAUSE)
        options.sleep(_PAUSE)
        findings, looks = output.group("step-probe", look(options, key)), looks + 1
    if not keys >= _TAKEN:
        output.tell("ways-on")
        return FOUND
    rotation.secret.move(PENDING, source=rotation.versions[PENDING])
    for other in findings:
        if other.severity is not Severity.OK:
            output.show("verified-apart-from", said=output.halves(other.text)[0])
    output.show("rotation-done")
    return 0


def look(options: argparse.Namespace, key: RSAPublicKey) -> list[Finding]:
    """Probe the deployment, which has to sign with this key."""
    examination = find(options)
    own = examination.keys.own
    good = own is not None and own.public_key() == key
    return probe(examination) if good else [fault("another-key", target=examination.name)]


def _rollback(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    secret, versions, phase = rotation.secret, rotation.versions, rotation.phase
    if phase is Phase.PREPARED:  # AWSPENDING, which says that a key waits, goes last
        if versions.get(PREVIOUS) == versions[PENDING]:  # tried and taken back: nobody must go back to it
            secret.move(PREVIOUS, source=versions[PREVIOUS])
        secret.move(PENDING, source=versions[PENDING])
        former = rotation.public_half(CURRENT)
    else:
        label = PREVIOUS if phase is Phase.SWITCHED else _label_of(options.to, rotation)
        former = rotation.public_half(label)
        if label == PREVIOUS:
            secret.move(CURRENT, to=versions[PREVIOUS], source=versions[CURRENT])
    output.show("former-key")
    show_public_half(former, output)
    if phase is Phase.SWITCHED:
        output.tell("waits-again")
    return 0


def _label_of(named: str | None, rotation: Rotation) -> str:
    """Return the label of the key to go back to: where no rotation is under way, it has to be named."""
    present, name = rotation.find(CURRENT), rotation.secret.name
    if present is not None and named == fingerprint(present):
        return CURRENT
    if PREVIOUS not in rotation.versions:
        raise ToolError("no-former-key", secret=name)
    former = fingerprint(rotation.public_half(PREVIOUS))
    if named != former:
        own = fingerprint(present) if present else "-"
        raise UseError("name-the-key", secret=name, present=own, former=former)
    return PREVIOUS


_STEPS: Final[Mapping[str, Callable[[Rotation, argparse.Namespace, Output], int]]] = {
    "prepare": _prepare,
    "switch": _switch,
    "verify": _verify,
    "rollback": _rollback,
}
