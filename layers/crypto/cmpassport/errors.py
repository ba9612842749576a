"""The root of this package's errors.

No error text carries a key, a signed message, a plaintext or a secret's content: texts end up in logs.
"""


class CmpassportError(Exception):
    """Covers every error that this package raises on purpose."""


class RefusedError(CmpassportError):
    """Covers what refuses one request and leaves the function in order; each leaf becomes one problem.

    Parameters
    ----------
    text
        For the log.
    retry_after
        Seconds after which the request may be sent again; None where none are known.
    """

    def __init__(self, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def error_name(error: BaseException) -> str:
    """Return an error's name for a log: AWS's code if it has one, as botocore has one type for most."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code if isinstance(code, str) and code.isidentifier() else type(error).__name__
