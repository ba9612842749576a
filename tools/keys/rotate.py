"""`keys rotate`: changes the customer's key pair, in steps that can be taken up again and taken back.

The new key waits in the signing secret under the label AWSPENDING, which the functions do not read. The
switch moves AWSCURRENT to it, the way back moves it to AWSPREVIOUS; until the platform has been seen to take
the new key, AWSPENDING stays where it is. So the labels alone say how far a rotation is. A key that is
forgotten loses AWSPREVIOUS too, which Secrets Manager gave it when it was taken back.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cmpassport.secret_cache import RETRY_SECONDS, read_object
from tools.examination import SIGNING, find, is_named
from tools.findings import FOUND, Finding, Severity, ToolError, UseError, fault
from tools.given import SecretKind, given, is_name
from tools.key_text import bare_private, fingerprint
from tools.keys.pair import make_key, show_public_half
from tools.messages import text
from tools.output import Output
from tools.secret_text import PRIVATE_KEY, examine_signing, refuse_foreign
from tools.signed_probe import probe
from tools.store import CURRENT, PENDING, PREVIOUS, Store

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
    """A signing secret in the course of a rotation: where it is, its name, its versions by label."""

    store: Store
    name: str
    versions: Mapping[str, str]

    @classmethod
    def of(cls, store: Store, name: str) -> "Rotation":
        """Look how far it is; a ToolError where the secret has no value, or holds something else."""
        versions = store.describe(name).versions
        refuse_foreign(store.read(name), name, SecretKind.SIGNING)
        return cls(store, name, versions)

    @property
    def phase(self) -> Phase:
        """How far it is."""
        pending = self.versions.get(PENDING)
        if pending is None:
            return Phase.AT_REST
        return Phase.SWITCHED if pending == self.versions[CURRENT] else Phase.PREPARED

    def find(self, label: str) -> RSAPublicKey | None:
        """Return the public half of the key that a label names; None where it is broken."""
        key = examine_signing(self.store.read(self.name, label), self.name).own
        return None if key is None else key.public_key()

    def public_half(self, label: str) -> RSAPublicKey:
        """Return the public half of the key that a label names; a ToolError where it is broken."""
        key = self.find(label)
        if key is None:
            raise ToolError("label-broken", secret=self.name, label=label)
        return key

    def out_of_turn(self, way: str) -> UseError:
        """Return the error of a step that cannot be taken now, with the message that says which can."""
        phase = text(f"phase-{self.phase.value}")
        return UseError("out-of-turn", secret=self.name, phase=phase, way=text(way))


def run(options: argparse.Namespace, output: Output) -> int:
    """Take the step that was asked for, or lead through all of them."""
    if options.step is None and not is_named(options):
        options.stack = output.ask("ask-stack")
        if not options.stack:
            raise UseError("nothing-entered")
    if is_named(options):
        output.given = given(vars(options))
        options.secret = _secret_of_target(options)
    options.secret = options.secret or SecretKind.SIGNING.value
    output.given = given(vars(options))
    store = Store.reach(options)
    if options.step is not None:
        rotation = Rotation.of(store, options.secret)
        asks = (
            options.step == "rollback" and rotation.phase is not Phase.AT_REST
        )  # there --to says what is meant
        if asks and not output.is_confirmed(f"ask-rollback-{rotation.phase.value}"):
            output.tell("nothing-stored")
            return FOUND
        return _STEPS[options.step](rotation, options, output)
    target = options.stack or options.state
    output.tell("rotation-of", secret=options.secret, region=store.region, target=target)
    return _guide(store, options, output)


def _secret_of_target(options: argparse.Namespace) -> str:
    """Return the signing secret of the deployment that is named."""
    target = find(options)
    used = {each[SIGNING].strip() for each in target.variables.values() if SIGNING in each}
    secret = next(iter(used), "")
    certain = len(used) == 1 and is_name(secret)
    if certain and options.secret not in {None, secret}:
        store = Store.reach(options)
        certain = store.describe(options.secret).arn == store.describe(secret).arn
    if not certain:
        raise UseError("signs-with-another", target=target.name)
    return secret


def _guide(store: Store, options: argparse.Namespace, output: Output) -> int:
    rotation = Rotation.of(store, options.secret)
    if rotation.phase is not Phase.SWITCHED:
        output.tell("gap")
        if rotation.phase is Phase.AT_REST and not output.is_confirmed("ask-new-pair"):
            output.tell("nothing-stored")
            return FOUND
        _prepare(rotation, options, output)
        output.tell("replace-public-half")
        if not output.is_confirmed("ask-saved"):
            output.tell("not-switched-yet")
            return FOUND
        _switch(Rotation.of(store, options.secret), options, output)
    answer = "again"
    try:
        while answer == "again":
            try:
                if _verify(Rotation.of(store, options.secret), options, output) == 0:
                    return 0
            except ToolError as error:
                output.fail(error.text)
                output.tell("ways-on")
            answer = output.ask("ask-what-now").lower()
        if answer == "rollback":
            return _rollback(Rotation.of(store, options.secret), options, output)
    except (ToolError, KeyboardInterrupt):
        output.tell("ways-on")
        raise
    return FOUND


# The steps. Each can be taken again after a kill: the labels, and no memory, say what is left to do.
# `prepare`, `switch` and `verify` do no second time what is done. `rollback` goes one step back, down to
# where no rotation is under way; a rotation that is done is taken back only to a key that is named.


def _prepare(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.SWITCHED:
        raise rotation.out_of_turn("ways-on")
    if rotation.phase is Phase.AT_REST:
        rotation.public_half(CURRENT)  # what is broken is replaced, not rotated: nobody could go back to it
        held = read_object(rotation.store.read(rotation.name))
        key = make_key(options.bits, output)
        content = json.dumps({**held, PRIVATE_KEY: bare_private(key)})
        rotation.store.put(rotation.name, content, PENDING)
    output.tell("key-waits", secret=rotation.name)
    show_public_half(rotation.public_half(PENDING), output)
    if options.step:
        output.tell("gap")
        output.tell("next-switch")
    return 0


def _switch(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.AT_REST:
        raise rotation.out_of_turn("way-at-rest")
    if rotation.phase is Phase.PREPARED:
        versions = rotation.versions
        rotation.public_half(PENDING)
        rotation.store.move(rotation.name, CURRENT, to=versions[PENDING], source=versions[CURRENT])
    output.tell("switched")
    if options.step:
        output.tell("ways-on", **({} if is_named(options) else {"at": " --stack NAME"}))
    return 0


def _verify(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is not Phase.SWITCHED:
        raise rotation.out_of_turn("next-switch" if rotation.phase is Phase.PREPARED else "way-at-rest")
    if not is_named(options):
        raise UseError("verify-unnamed")
    output.tell("sending-probe")
    key, looks = rotation.public_half(CURRENT), 1
    findings = look(options, key)
    if any(each.text.values.get("code") in _REFUSED for each in findings):
        options.sleep(_MOMENT)
        findings = look(options, key)
    output.group("step-probe", findings)
    while _keys(findings) >= _LAGS and looks < _LOOKS:
        output.tell("looking-again", pause=_PAUSE)
        options.sleep(_PAUSE)
        findings, looks = output.group("step-probe", look(options, key)), looks + 1
    if not _keys(findings) >= _TAKEN:
        output.tell("ways-on")
        return FOUND
    rotation.store.move(rotation.name, PENDING, source=rotation.versions[PENDING])
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


def _keys(findings: Iterable[Finding]) -> frozenset[str]:
    return frozenset(each.text.key for each in findings)


def _rollback(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.PREPARED:
        return _forget(rotation, output)
    if rotation.phase is Phase.AT_REST:
        return _undo_finished(rotation, options, output)
    _go_back(rotation, rotation.public_half(PREVIOUS), output)
    output.tell("waits-again")
    return 0


def _forget(rotation: Rotation, output: Output) -> int:
    """Take the labels off the key that waits; AWSPENDING, which says that there is one, comes last."""
    versions = rotation.versions
    if versions.get(PREVIOUS) == versions[PENDING]:  # tried and taken back: nobody must go back to it
        rotation.store.move(rotation.name, PREVIOUS, source=versions[PREVIOUS])
    rotation.store.move(rotation.name, PENDING, source=versions[PENDING])
    _show_former(rotation.public_half(CURRENT), output)
    return 0


def _undo_finished(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    """Go back to a former key that is named: which one is meant, no label can tell."""
    present = rotation.find(CURRENT)
    if present is not None and options.to == fingerprint(present):
        _show_former(present, output)
        return 0
    if PREVIOUS not in rotation.versions:
        raise ToolError("no-former-key", secret=rotation.name)
    former = rotation.public_half(PREVIOUS)
    if options.to != fingerprint(former):
        own = fingerprint(present) if present else "-"
        raise UseError("name-the-key", secret=rotation.name, present=own, former=fingerprint(former))
    _go_back(rotation, former, output)
    return 0


def _go_back(rotation: Rotation, former: RSAPublicKey, output: Output) -> None:
    versions = rotation.versions
    rotation.store.move(rotation.name, CURRENT, to=versions[PREVIOUS], source=versions[CURRENT])
    _show_former(former, output)


def _show_former(key: RSAPublicKey, output: Output) -> None:
    output.show("former-key")
    show_public_half(key, output)


_STEPS: Final[Mapping[str, Callable[[Rotation, argparse.Namespace, Output], int]]] = {
    "prepare": _prepare,
    "switch": _switch,
    "verify": _verify,
    "rollback": _rollback,
}
