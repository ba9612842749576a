#!/usr/bin/env python3
"""Write the hashes of a page's inline style and script into its Content-Security-Policy.

The policy of ``index.html`` lets the browser run exactly the inline blocks that were reviewed. Whoever
edits one runs ``python3 csp.py [index.html]`` afterwards; ``--check`` only says whether it is needed.
Texts and addresses are in the JSON block, which no browser executes: they need no hash.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

INLINE = re.compile(r"<(?P<tag>style|script)(?: type=\"module\")?>(?P<code>.*?)</(?P=tag)>", re.DOTALL)
HASH = r"'sha256-[A-Za-z0-9+/=]*'"


def with_hashes(page: str) -> str:
    """Give the page back with the hash of its one style and its one script in its policy.

    Parameters
    ----------
    page
        The HTML text, whose policy has one ``'sha256-…'`` in style-src and one in script-src.
    """
    for block in INLINE.finditer(page):
        # What the browser hashes: the text between the tags, with line ends as its parser makes them.
        digest = hashlib.sha256(block["code"].replace("\r\n", "\n").encode()).digest()
        source = f"'sha256-{base64.b64encode(digest).decode()}'"
        page = re.sub(rf"({block['tag']}-src [^;\"]*?){HASH}", rf"\g<1>{source}", page, count=1)
    return page


def main(arguments: list[str]) -> int:
    """Rewrite or check the page; 0 when its policy is right at the end, 1 when it is not."""
    names = [name for name in arguments if name != "--check"]
    path = Path(names[0]) if names else Path(__file__).with_name("index.html")
    before = path.read_bytes().decode()
    after = with_hashes(before)
    if "--check" in arguments:
        return int(before != after)
    path.write_bytes(after.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
