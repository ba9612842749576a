"""The root of this package's errors.

No error text carries a key, a signed message, a plaintext or a secret's content: texts end up in logs.
"""


class CmpassportError(Exception):
    """Covers every error that this package raises on purpose."""
