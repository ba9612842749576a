"""The operator's command line: key pairs and secrets, a doctor for a deployment, return codes explained.

`python -m tools --help` lists the commands. This package knows the product, never the other way round. It
is run from a checkout, so that the product's import roots are those of `local`.
"""

from local import ROOT

__all__ = ["ROOT"]
