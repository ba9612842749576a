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

from tools.aws import add_aws_options
from tools.commands import Given, SecretKind
from tools.errors import FOUND, WRONG_USE, ToolError
from tools.keys.contents import PRIVATE_KEY, examine_signing, refuse_foreign
from tools.keys.new import SIGNING_SECRET, warn_of_small
from tools.keys.pairs import BITS, SAFE_BITS, bare_private, fingerprint, new_private_key
from tools.keys.people import ask, is_confirmed, say, secret_name
from tools.keys.probe import Outcome, add_deployment_options, probe, secret_of_deployment
from tools.keys.report import advise, show_public_half
from tools.keys.store import CURRENT, PENDING, PREVIOUS, Store
from tools.text import HelpFormatter, wrapped

_EXAMPLES: Final = """
examples:
  python -m tools keys rotate --stack number-verification            guided, step by step
  python -m tools keys rotate --step prepare --stack number-verification        or each step by itself:
  python -m tools keys rotate --step switch --stack number-verification
  python -m tools keys rotate --step verify --stack number-verification
  python -m tools keys rotate --step rollback                        one step back
  python -m tools keys rotate --step rollback --to SHA256            a rotation that is done, back to that key

steps:
  prepare   make a new pair; the private half waits in the secret, the public half is shown
  switch    have the functions use it, right after the open platform has saved its public half
  verify    send one signed request with a made-up token: not billed, no attempt spent
  rollback  after the switch: the former key again; before it: forget the new one; with no rotation under way
            it says which key --to would go back to
"""

_PAUSE: Final = 30
"""Seconds between two probes while /presign still has the former key."""
_LOOKS: Final = 12
"""How often it is looked at: for a little longer than SECRET_MAX_AGE_SECONDS is by default."""

_GAP: Final = (
    (
        "The platform verifies with one public key at a time, so there is a gap: from the moment at which it "
        "takes the new public half until the functions sign with the new private half. After the switch, "
        "/verify does so within seconds, as the first refusal makes it read the secret anew; /presign hears "
        "of no refusal, and does so as its secret grows old, within SECRET_MAX_AGE_SECONDS (300 unless "
        "SecretMaxAgeSeconds says otherwise)."
    ),
    (
        "In the gap a page gets no token (the SDK's 500), or POST /verify answers 502 platform_rejected with "
        "resultCode 130018 or 130016: it uses another way to log in. No attempt is spent and nothing is "
        "billed. OperatorFaultAlarm goes off: that is expected."
    ),
    (
        "To keep it short: choose a quiet hour; deploy with SecretMaxAgeSeconds=10 before, with 300 after, "
        "each time with a Release of a new name where the stack has one (else what runs keeps its settings); "
        "switch as soon as the open platform has saved, or, where it says that a change is live later, at "
        "that time."
    ),
)


_BROKEN: Final = (
    "`python -m tools keys check` says what is wrong. The former key comes back by `python -m tools keys "
    "rotate --step rollback`; one that is in a file is stored by `python -m tools keys put signing --private "
    "FILE --replace`; if there is none any more, make one first: `python -m tools keys new --out FILE`."
)


class Phase(Enum):
    """How far a rotation is, as the secret's labels say."""

    AT_REST = "no rotation is under way"
    PREPARED = "a new key waits, and the functions use the former one"
    SWITCHED = "the functions use the new key, and nobody has seen yet that the platform takes it"


@dataclass(frozen=True, slots=True)
class Rotation:
    """A signing secret in the course of a rotation.

    Attributes
    ----------
    store
        Where the secret is.
    name
        The secret's name or ARN.
    versions
        Its versions by label.
    """

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
            raise ToolError(
                f"secret {name} has no value yet", "Make the first pair: `python -m tools keys new`."
            )
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
        """Give the public half of the key that a label names.

        Raises
        ------
        ToolError
            There is no key under it.
        """
        key = self._key(label)
        if key is None:
            raise ToolError(
                f"secret {self.name}: there is no good key under {label}",
                _BROKEN if label == CURRENT else "`python -m tools keys rotate --step rollback` forgets it.",
            )
        return key

    def present(self) -> RSAPublicKey | None:
        """Give the public half of the key that the functions use; None where it is broken."""
        return self._key(CURRENT)

    def _key(self, label: str) -> RSAPublicKey | None:
        found = examine_signing(self.store.read(self.name, label), f"{self.name} ({label})")
        return None if found.key is None else found.key.public_key()


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "rotate",
        help="change the key pair: prepare, switch, verify, roll back",
        description="Change the customer's key pair. Without --step it leads through all of it, and takes "
        "up a rotation where it was left.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--step", choices=tuple(_STEPS), help="take one step and ask nothing")
    parser.add_argument(
        "--secret",
        type=secret_name,
        metavar="NAME",
        help=f"the secret (default: the deployment's, where one is named, else {SIGNING_SECRET})",
    )
    parser.add_argument(
        "--to",
        metavar="SHA256",
        help="with --step rollback and no rotation under way: the fingerprint of the key to go back to",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=BITS,
        default=SAFE_BITS,
        help=f"size of the new key (default: {SAFE_BITS})",
    )
    add_deployment_options(parser)
    add_aws_options(parser)
    parser.set_defaults(run=run, kind=SecretKind.SIGNING)


def run(arguments: argparse.Namespace) -> int:
    """Take the step that was asked for, or lead through all of them."""
    if arguments.step is None and Given.of(arguments).deployment is None:
        arguments.stack = ask("Name of the deployed stack whose key is to change")
    arguments.secret = secret_of_deployment(arguments) or arguments.secret or SIGNING_SECRET
    store = Store.reach(arguments)
    if arguments.step is not None:
        return _STEPS[arguments.step](Rotation.of(store, arguments.secret), arguments)
    return _guide(store, arguments)


def _guide(store: Store, arguments: argparse.Namespace) -> int:
    rotation = Rotation.of(store, arguments.secret)
    if rotation.phase is not Phase.SWITCHED:
        _explain_gap()
        if rotation.phase is Phase.AT_REST and not is_confirmed("Make a new pair now?"):
            say("Nothing was changed.")
            return FOUND
        _prepare(rotation, arguments)
        say()
        say(
            wrapped(
                "Replace the customer's public key (客户公钥) on the open platform by the line above, and "
                "save."
            )
        )
        if not is_confirmed("Has the open platform saved it?"):
            say(wrapped("The functions still use the former key. Run the same command to go on."))
            return FOUND
        _switch(Rotation.of(store, arguments.secret), arguments)
    return _guide_verification(store, arguments)


def _guide_verification(store: Store, arguments: argparse.Namespace) -> int:
    while True:
        if _verify(Rotation.of(store, arguments.secret), arguments) == 0:
            return 0
        answer = ask("What now? [again/rollback/stop]").lower()
        if answer == "rollback":
            return _rollback(Rotation.of(store, arguments.secret), arguments)
        if answer != "again":
            say("Run the same command to go on.")
            return FOUND


# The steps. Each can be taken again after a kill: the labels, and no memory, say what is left to do.
# `prepare`, `switch` and `verify` do no second time what is done. `rollback` goes one step back, down to
# where no rotation is under way; a rotation that is done is taken back only to a key that is named.


def _prepare(rotation: Rotation, arguments: argparse.Namespace) -> int:
    if rotation.phase is Phase.SWITCHED:
        raise _out_of_turn(
            rotation,
            "Finish it: `python -m tools keys rotate --step verify`; or take it back: `python -m tools keys "
            "rotate --step rollback`.",
        )
    if rotation.phase is Phase.AT_REST:
        rotation.public_half(CURRENT)  # what is broken is mended, not rotated: nobody could go back to it
        warn_of_small(arguments.bits)
        say(f"making an RSA key of {arguments.bits} bits, which waits in {rotation.name} …")
        key = new_private_key(arguments.bits)
        text = json.dumps({**_fields(rotation), PRIVATE_KEY: bare_private(key)})
        rotation.store.put(rotation.name, text, PENDING)
    else:
        say(f"A new key waits in {rotation.name} already: here is its public half again.")
    print()
    show_public_half(rotation.public_half(PENDING))
    if arguments.step:
        _explain_gap()
        advise(
            arguments,
            "Paste the public half into the open platform, save it, and at once: `python -m tools keys "
            "rotate --step switch`",
        )
    return 0


def _switch(rotation: Rotation, arguments: argparse.Namespace) -> int:
    if rotation.phase is Phase.AT_REST:
        raise _out_of_turn(rotation, "Make the new key first: `python -m tools keys rotate --step prepare`.")
    if rotation.phase is Phase.PREPARED:
        rotation.public_half(PENDING)  # what is no key must not become the functions'
        versions = rotation.versions
        rotation.store.move(rotation.name, CURRENT, to=versions[PENDING], source=versions[CURRENT])
    say(
        wrapped(
            "Switched: /verify uses the new key within seconds of a refusal, /presign within "
            "SECRET_MAX_AGE_SECONDS (300 by default)."
        )
    )
    if arguments.step:
        where = "" if Given.of(arguments).deployment else " --stack NAME"
        advise(arguments, f"Next: `python -m tools keys rotate --step verify{where}`")
    return 0


def _verify(rotation: Rotation, arguments: argparse.Namespace) -> int:
    if rotation.phase is not Phase.SWITCHED:
        raise _out_of_turn(
            rotation,
            "There is nothing to verify before `python -m tools keys rotate --step switch`.",
        )
    if Given.of(arguments).deployment is None:
        raise ToolError(
            "which deployment should send the signed request is not said",
            "Name it: --stack NAME (or --env FILE, or --state FILE for a local stack).",
            WRONG_USE,
        )
    if _probe_until_settled(arguments, rotation.public_half(CURRENT)) is not Outcome.TAKEN:
        say()
        advise(
            arguments,
            "The new key is not verified. The open platform may take minutes to make a change live, and "
            "functions keep a secret for SECRET_MAX_AGE_SECONDS: wait and verify again. If it stays, go "
            "back: paste the former public half, and `python -m tools keys rotate --step rollback`",
        )
        return FOUND
    rotation.store.drop(rotation.name, PENDING, rotation.versions[PENDING])
    print("The platform takes the new key: the rotation is done.")
    say(wrapped("The former key stays under AWSPREVIOUS until the next rotation."))
    return 0


def _probe_until_settled(arguments: argparse.Namespace, key: RSAPublicKey) -> Outcome:
    """Probe again while all that is amiss is that /presign has not read the secret anew yet."""
    say("sending a signed request with a made-up token …")
    for _ in range(_LOOKS - 1):
        outcome = probe(arguments, key)
        if outcome is not Outcome.PRESIGN_LAGS:
            return outcome
        say(wrapped(f"That passes as its secret grows old. Looking again in {_PAUSE} s; Ctrl-C stops that."))
        arguments.clock.sleep(_PAUSE)
    return probe(arguments, key)


def _rollback(rotation: Rotation, arguments: argparse.Namespace) -> int:
    match rotation.phase:
        case Phase.PREPARED:
            return _forget(rotation)
        case Phase.SWITCHED:
            _go_back(rotation, rotation.public_half(PREVIOUS))
            advise(
                arguments,
                "The new key waits again: `python -m tools keys rotate --step switch` tries it once more, "
                "`python -m tools keys rotate --step rollback` forgets it.",
            )
            return 0
        case Phase.AT_REST:
            return _undo_finished(rotation, arguments)


def _forget(rotation: Rotation) -> int:
    """Take the labels off the key that waits; AWSPENDING, which says that there is one, comes last."""
    versions = rotation.versions
    present = rotation.present()
    if versions.get(PREVIOUS) == versions[PENDING]:  # tried and taken back: nobody must go back to it
        rotation.store.drop(rotation.name, PREVIOUS, versions[PREVIOUS])
    rotation.store.drop(rotation.name, PENDING, versions[PENDING])
    if present is None:
        print("The new key is forgotten; the one that the functions use is broken.")
        return FOUND
    print("The new key is forgotten; the functions use the former one.")
    say(wrapped("If another public half stands on the open platform, paste the former one back: it follows."))
    print()
    show_public_half(present)
    return 0


def _undo_finished(rotation: Rotation, arguments: argparse.Namespace) -> int:
    """Go back to a former key that is named: which one is meant, no label can tell."""
    present = rotation.present()
    if present is not None and arguments.to == fingerprint(present):
        print("The functions use that key already. Its public half has to stand on the open platform:")
        print()
        show_public_half(present)
        return 0
    if PREVIOUS not in rotation.versions:
        raise ToolError(
            f"secret {rotation.name}: {rotation.phase.value}, and there is no former key to go back to",
            _BROKEN
            if present is None
            else "To change the key: `python -m tools keys rotate --step prepare`.",
        )
    former = rotation.public_half(PREVIOUS)
    if arguments.to != fingerprint(former):
        raise ToolError(
            f"secret {rotation.name}: {rotation.phase.value}, so that nothing is taken back unasked. The "
            f"present key's public half has SHA-256 {fingerprint(present) if present else '(it is broken)'}, "
            f"the former one's {fingerprint(former)}",
            "If the functions are to go back to the former: "
            f"`python -m tools keys rotate --step rollback --to {fingerprint(former)}`",
            WRONG_USE,
        )
    _go_back(rotation, former)
    return 0


def _go_back(rotation: Rotation, former: RSAPublicKey) -> None:
    versions = rotation.versions
    rotation.store.move(rotation.name, CURRENT, to=versions[PREVIOUS], source=versions[CURRENT])
    print("The functions go back to the former key. Paste its public half into the open platform at once:")
    print()
    show_public_half(former)


_STEPS: Final[Mapping[str, Callable[[Rotation, argparse.Namespace], int]]] = {
    "prepare": _prepare,
    "switch": _switch,
    "verify": _verify,
    "rollback": _rollback,
}


def _out_of_turn(rotation: Rotation, remedy: str) -> ToolError:
    return ToolError(f"secret {rotation.name}: {rotation.phase.value}", remedy, WRONG_USE)


def _fields(rotation: Rotation) -> dict[str, Any]:
    """Give what else the secret holds, which stays."""
    try:
        content = json.loads(rotation.store.read(rotation.name))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _explain_gap() -> None:
    for paragraph in _GAP:
        say()
        say(wrapped(paragraph))
    say()
