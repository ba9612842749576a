"""`keys rotate`: changes the customer's key pair, in steps that can be taken up again and taken back.

The new key waits in the signing secret under the label AWSPENDING, which the functions do not read. The
switch moves AWSCURRENT to it, the way back moves it to AWSPREVIOUS; until the platform has been seen to take
the new key, AWSPENDING stays where it is. So the labels alone say how far a rotation is. A key that is
forgotten loses AWSPREVIOUS too, which Secrets Manager gave it when it was taken back.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cmpassport.errors import CmpassportError
from cmpassport.keys import load_private_key
from cmpassport.secret_cache import read_fields
from tools.examination import SIGNING, Examination
from tools.findings import FOUND, ToolError, UseError, fault
from tools.given import SecretKind, given
from tools.keys.new import show_public_half, warn_of_small
from tools.keys.store import CURRENT, PENDING, PREVIOUS, Store
from tools.messages import text
from tools.output import Output
from tools.pairs import bare_private, fingerprint, new_private_key
from tools.prompts import ask, is_confirmed, is_name
from tools.secret_text import PRIVATE_KEY, examine_signing, refuse_foreign
from tools.signed_probe import SignedProbe, Verdict
from tools.target import find, is_named

_PAUSE: Final = 30
"""Seconds between two probes while /presign still has the former key."""
_LOOKS: Final = 12
"""How often it is looked at: for a little longer than SECRET_MAX_AGE_SECONDS is by default."""


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
        """Look how far it is.

        Raises
        ------
        ToolError
            The secret has no value that could be rotated.
        """
        versions = store.describe(name).versions
        if CURRENT not in versions:
            raise ToolError("aws-empty", subject=f"secret {name}", name=CURRENT)
        refuse_foreign(store.read(name), name, SecretKind.SIGNING)
        return cls(store, name, versions)

    @property
    def phase(self) -> Phase:
        """How far it is."""
        pending = self.versions.get(PENDING)
        if pending is None:
            return Phase.AT_REST
        return Phase.SWITCHED if pending == self.versions[CURRENT] else Phase.PREPARED

    def public_half(self, label: str) -> RSAPublicKey:
        """Return the public half of the key that a label names.

        Raises
        ------
        ToolError
            There is no key under it.
        """
        key = self.find(label)
        if key is None:
            raise ToolError(
                "current-broken" if label == CURRENT else "label-broken", secret=self.name, label=label
            )
        return key

    def find(self, label: str) -> RSAPublicKey | None:
        """Return the public half of the key that a label names; None where it is broken."""
        try:
            (key,) = read_fields(self.store.read(self.name, label), PRIVATE_KEY)
            return load_private_key(key).public_key()
        except CmpassportError:
            return None

    def out_of_turn(self, key: str) -> UseError:
        """Return the error of a step that cannot be taken now, with the message that says which can."""
        return UseError(
            "out-of-turn", secret=self.name, phase=text(f"phase-{self.phase.value}"), way=text(key)
        )


def run(options: argparse.Namespace, output: Output) -> int:
    """Take the step that was asked for, or lead through all of them."""
    if options.step is None and not is_named(options):
        options.stack = ask(output, "ask-stack")
        if not options.stack:
            raise UseError("nothing-entered")
        output.given = given(vars(options))
    region = None
    if is_named(options):
        options.secret, region = _secret_of_target(options)
    options.secret = options.secret or SecretKind.SIGNING.value
    output.given = given(vars(options))
    store = Store.reach(options)
    if options.step is not None:
        return _STEPS[options.step](Rotation.of(store, options.secret), options, output)
    target = options.stack or options.state
    output.tell("rotation-of", secret=options.secret, region=region or store.region, target=target)
    return _guide(store, options, output)


def _secret_of_target(options: argparse.Namespace) -> tuple[str, str | None]:
    """Return the signing secret of the deployment that is named, and its region."""
    target = find(options)
    used = {each[SIGNING].strip() for each in target.variables.values() if SIGNING in each}
    if len(used) != 1:
        raise ToolError("signing-secrets-differ", target=target.name, count=len(used))
    (secret,) = used
    if not is_name(secret):
        raise ToolError("key-for-name", target=target.name)
    if options.secret not in {None, secret}:
        store = Store.reach(options)
        if store.describe(options.secret).arn != store.describe(secret).arn:
            raise UseError("signs-with-another", target=target.name, secret=options.secret, used=secret)
    return secret, target.aws.region


def _guide(store: Store, options: argparse.Namespace, output: Output) -> int:
    rotation = Rotation.of(store, options.secret)
    if rotation.phase is not Phase.SWITCHED:
        _explain_gap(output)
        if rotation.phase is Phase.AT_REST and not is_confirmed(output, "ask-new-pair"):
            output.tell("nothing-changed")
            return FOUND
        _prepare(rotation, options, output)
        output.tell("replace-public-half")
        if not is_confirmed(output, "ask-saved"):
            output.tell("not-switched-yet")
            return FOUND
        _switch(Rotation.of(store, options.secret), options, output)
    try:
        return _guide_verification(store, options, output)
    except (ToolError, KeyboardInterrupt):
        output.tell("go-on-later")
        raise


def _guide_verification(store: Store, options: argparse.Namespace, output: Output) -> int:
    while True:
        try:
            if _verify(Rotation.of(store, options.secret), options, output) == 0:
                return 0
        except ToolError as error:
            output.tell("switched-and-failed", why=error.text)
        answer = ask(output, "ask-what-now").lower()
        if answer == "rollback":
            return _rollback(Rotation.of(store, options.secret), options, output)
        if answer != "again":
            output.tell("go-on-later")
            return FOUND


# The steps. Each can be taken again after a kill: the labels, and no memory, say what is left to do.
# `prepare`, `switch` and `verify` do no second time what is done. `rollback` goes one step back, down to
# where no rotation is under way; a rotation that is done is taken back only to a key that is named.


def _prepare(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.SWITCHED:
        raise rotation.out_of_turn("way-switched")
    if rotation.phase is Phase.AT_REST:
        rotation.public_half(CURRENT)  # what is broken is replaced, not rotated: nobody could go back to it
        warn_of_small(options.bits, output)
        output.tell("making-waiting-pair", bits=options.bits, secret=rotation.name)
        key = new_private_key(options.bits)
        content = json.dumps({**_fields(rotation), PRIVATE_KEY: bare_private(key)})
        rotation.store.put(rotation.name, content, PENDING)
    else:
        output.tell("waits-already", secret=rotation.name)
    print()
    show_public_half(rotation.public_half(PENDING), output)
    if options.step:
        _explain_gap(output)
        output.tell("next-switch")
    return 0


def _fields(rotation: Rotation) -> dict[str, Any]:
    """Return what the secret holds, of which all but the key stays."""
    try:
        content = json.loads(rotation.store.read(rotation.name))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _switch(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.AT_REST:
        raise rotation.out_of_turn("way-at-rest")
    if rotation.phase is Phase.PREPARED:
        versions = rotation.versions
        if examine_signing(rotation.store.read(rotation.name, PENDING), rotation.name).own is None:
            raise ToolError("label-broken", secret=rotation.name, label=PENDING)
        rotation.store.move(rotation.name, CURRENT, to=versions[PENDING], source=versions[CURRENT])
    output.tell("switched")
    if options.step:
        output.tell("next-verify" if is_named(options) else "next-verify-named")
    return 0


def _verify(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is not Phase.SWITCHED:
        raise rotation.out_of_turn("way-nothing-to-verify")
    if not is_named(options):
        raise UseError("verify-unnamed")
    output.tell("sending-probe")
    for _ in range(_LOOKS - 1):
        verdict = probe(options, rotation.public_half(CURRENT), output)
        if verdict is not Verdict.PRESIGN_LAGS:
            break
        output.tell("looking-again", pause=_PAUSE)
        options.sleep(_PAUSE)
    else:
        verdict = probe(options, rotation.public_half(CURRENT), output)
    if verdict is not Verdict.TAKEN:
        output.tell("not-verified")
        return FOUND
    rotation.store.drop(rotation.name, PENDING, rotation.versions[PENDING])
    output.show("rotation-done")
    return 0


def probe(options: argparse.Namespace, key: RSAPublicKey, output: Output) -> Verdict:
    """Probe the deployment that is named, which has to sign with this key; print what is found."""
    examination = Examination(find(options), options.clock)
    own = examination.keys.own
    if own is None or own.public_key() != key:
        output.group("step-probe", [fault("another-key", target=examination.target.name)])
        return Verdict.NOT_TAKEN
    signed = SignedProbe(examination)
    output.group("step-probe", signed.findings)
    return signed.verdict()


def _rollback(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    if rotation.phase is Phase.PREPARED:
        return _forget(rotation, output)
    if rotation.phase is Phase.SWITCHED:
        _go_back(rotation, rotation.public_half(PREVIOUS), output)
        output.tell("waits-again")
        return 0
    return _undo_finished(rotation, options, output)


def _forget(rotation: Rotation, output: Output) -> int:
    """Take the labels off the key that waits; AWSPENDING, which says that there is one, comes last."""
    versions, present = rotation.versions, rotation.find(CURRENT)
    if versions.get(PREVIOUS) == versions[PENDING]:  # tried and taken back: nobody must go back to it
        rotation.store.drop(rotation.name, PREVIOUS, versions[PREVIOUS])
    rotation.store.drop(rotation.name, PENDING, versions[PENDING])
    if present is None:
        output.show("forgotten-and-broken")
        return FOUND
    output.show("forgotten")
    show_public_half(present, output)
    return 0


def _undo_finished(rotation: Rotation, options: argparse.Namespace, output: Output) -> int:
    """Go back to a former key that is named: which one is meant, no label can tell."""
    present = rotation.find(CURRENT)
    if present is not None and options.to == fingerprint(present):
        output.show("used-already")
        show_public_half(present, output)
        return 0
    if PREVIOUS not in rotation.versions:
        way = text("way-broken" if present is None else "way-to-change")
        raise ToolError("no-former-key", secret=rotation.name, way=way)
    former = rotation.public_half(PREVIOUS)
    if options.to != fingerprint(former):
        own = fingerprint(present) if present else "-"
        raise UseError("name-the-key", secret=rotation.name, present=own, former=fingerprint(former))
    _go_back(rotation, former, output)
    return 0


def _go_back(rotation: Rotation, former: RSAPublicKey, output: Output) -> None:
    versions = rotation.versions
    rotation.store.move(rotation.name, CURRENT, to=versions[PREVIOUS], source=versions[CURRENT])
    output.show("went-back")
    show_public_half(former, output)


_STEPS: Final[Mapping[str, Callable[[Rotation, argparse.Namespace, Output], int]]] = {
    "prepare": _prepare,
    "switch": _switch,
    "verify": _verify,
    "rollback": _rollback,
}


def _explain_gap(output: Output) -> None:
    for key in ("gap", "gap-seen", "gap-short"):
        output.tell(key)
