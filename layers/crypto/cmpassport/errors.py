"""The root of this package's errors.

No error text carries a key, a signed message, a plaintext or a secret's content: texts end up in logs.
"""


class CmpassportError(Exception):
    """Covers every error that this package raises on purpose."""


def error_name(error: BaseException) -> str:
    """Name an error for a log: by AWS's code where it has one, as botocore has one type for most of them."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code if isinstance(code, str) and code.isidentifier() else type(error).__name__
