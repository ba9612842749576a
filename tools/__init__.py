"""The operator's command line: keys and secrets, a doctor, return codes explained, a plan.

`python -m tools --help` lists the commands. This package knows the product, never the other way round. It
is run from a checkout, so that the product's import roots are those of `local`.
"""

from local import ROOT

__all__ = ["ROOT"]
