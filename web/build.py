"""Write what is made in this folder: the classic script of the client, and the hashes in the page's policy.

``number-verification.classic.js`` is the module as a plain script for ``<script src>``, with the global
``NumberVerification``: the module is in the syntax of 2017 already, so nothing is translated. The policy of
``index.html`` lets the browser run exactly the inline style and scripts that were reviewed; the JSON block,
which no browser executes, needs no hash. Whoever edits the module, the style or a script runs
``python3 build.py`` afterwards; ``--check`` only says whether it is needed.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
_COMMENTS = re.compile(r"^ *(?:/\*\*.*?\*/|//[^\n]*)\n|/\*\*.*?\*/ ?", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_HASHES = r"(?: 'sha256-[A-Za-z0-9+/=]*')+"


def classic(module: str) -> str:
    """Return the ES module as a script that defines the global ``NumberVerification``."""
    names = re.findall(r"^export function (\w+)", module, re.MULTILINE)
    code = re.sub(r"\n{2,}", "\n", _COMMENTS.sub("", module)).replace("export ", "").strip()
    members = ", ".join(f"{name}: {name}" for name in names)
    return (
        "/* Made of number-verification.js by build.py: edit that. */\n"
        f"var NumberVerification = (function () {{\n'use strict';\n{code}\nreturn {{ {members} }};\n}})();\n"
    )


def with_hashes(page: str) -> str:
    """Return the page with the hashes of its inline style and scripts in its policy, in their order."""
    # What the browser hashes: the text between the tags, with line ends as its parser makes them.
    blocks = [(tag, code.replace("\r\n", "\n").encode()) for tag, code in _INLINE.findall(page)]
    for tag in ("style", "script"):
        digests = [
            base64.b64encode(hashlib.sha256(code).digest()).decode() for name, code in blocks if name == tag
        ]
        sources = "".join(f" 'sha256-{digest}'" for digest in digests)
        page = re.sub(rf"({tag}-src [^;\"]*?){_HASHES}", rf"\g<1>{sources}", page, count=1)
    return page


def main(arguments: list[str]) -> int:
    """Write or check what is made of the files in this folder, as far as there; 0 when it is right."""
    module, page = HERE / "number-verification.js", HERE / "index.html"
    made = {}
    if module.exists():
        made[HERE / "number-verification.classic.js"] = classic(module.read_bytes().decode())
    if page.exists():
        made[page] = with_hashes(page.read_bytes().decode())
    stale = [path for path, text in made.items() if not path.exists() or path.read_bytes().decode() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is not up to date: python3 {Path(__file__).name}")  # noqa: T201
        return int(bool(stale))
    for path in stale:
        path.write_bytes(made[path].encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
