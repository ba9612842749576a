"""Everything needed to run the product without AWS: gateway, execution environments, AWS endpoint, simulator.

`python -m local up` starts it, `local.stack.Stack` is the same for tests. This package knows the product,
never the other way round. It is run from a checkout, so the product's two import roots are found from here.
"""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: where template.yaml, web/ and the functions are."""

IMPORT_ROOTS: Final = (ROOT / "functions", ROOT / "layers" / "crypto")
"""What Lambda has at /var/task and /opt/python; third-party packages come from the running Python."""

for _root in map(str, IMPORT_ROOTS):
    if _root not in sys.path:
        sys.path.append(_root)
