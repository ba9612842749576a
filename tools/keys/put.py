"""`keys put`: stores keys that are there already: appKey and platform key, or a private key."""

import argparse
import json
from typing import Final

from tools.findings import FOUND, Severity, failed
from tools.given import SecretKind
from tools.key_text import examine_private
from tools.keys.new import DESCRIPTION, show_parameter, show_public_half, signing_text
from tools.keys.store import Store
from tools.messages import text
from tools.output import Output
from tools.prompts import ask_secretly, is_confirmed, name_of, only_one_reads_standard_input, read_file
from tools.secret_text import APP_KEY, PLATFORM_KEY, examine_signing, examine_verification, refuse_foreign

_DESCRIPTION: Final = (
    "What China Mobile's open platform shows for the app: appKey and the platform's public key."
)


def verification(options: argparse.Namespace, output: Output) -> int:
    """Store appKey and platform key."""
    only_one_reads_standard_input(options.app_key, options.platform_public)
    name = options.secret or SecretKind.VERIFICATION.value
    files = [path and read_file(path) for path in (options.app_key, options.platform_public)]
    store = Store.reach(options)
    if options.replace:
        refuse_foreign(store.read(name), name, SecretKind.VERIFICATION)
    else:
        store.refuse_taken(name, "verification-taken")
        output.tell("will-hold", secret=name, region=store.region)
    app_key = files[0] or ask_secretly(output, "ask-app-key")
    platform_key = files[1] or ask_secretly(output, "ask-platform-key")
    content = json.dumps({APP_KEY: app_key.strip(), PLATFORM_KEY: platform_key.strip()})
    found = output.group("what-you-gave", examine_verification(content, text("what-you-gave")).findings)
    output.summary()
    doubtful = any(each.text.key in {"app-key-app-id", "app-key-twice"} for each in found)
    if failed(found) or (doubtful and not is_confirmed(output, "ask-store-anyway")):
        output.tell("nothing-stored")
        return FOUND
    if options.replace:
        store.put(name, content)
        there = store.describe(name)
        arn, kms_key = there.arn, there.kms_key
    else:
        arn = store.create(name, content, _DESCRIPTION, options.kms_key, "verification-taken")
        kms_key = options.kms_key
    print()
    show_parameter("VerificationSecretArn", arn, kms_key, output)
    output.steps("next-deploy-or-wait", "next-check-keys")
    return 0


def signing(options: argparse.Namespace, output: Output) -> int:
    """Store a private key, in the functions' form whatever its own."""
    name = options.secret or SecretKind.SIGNING.value
    examined = examine_private(read_file(options.private), name_of(options.private))
    key = examined.meant
    if key is None:
        output.group("what-you-gave", examined.findings)
        output.tell("nothing-stored")
        return FOUND
    store = Store.reach(options)
    if options.replace:
        present = store.read(name)
        refuse_foreign(present, name, SecretKind.SIGNING)
        held = examine_signing(present, name).own
        if held is not None and held.public_key() != key.public_key():
            output.tell("signing-good", secret=name)
            if not is_confirmed(output, "ask-replace"):
                output.tell("nothing-stored")
                return FOUND
        store.put(name, signing_text(key))
        arn = store.describe(name).arn
    else:
        arn = store.create(name, signing_text(key), DESCRIPTION, options.kms_key, "signing-taken")
    notes = [each for each in examined.findings if each.severity is not Severity.FAULT]
    output.group("what-you-gave", notes)
    print()
    show_public_half(key.public_key(), output)
    show_parameter("SigningSecretArn", arn, options.kms_key, output)
    output.steps("next-paste", "next-verification", "next-deploy", "next-check")
    return 0
