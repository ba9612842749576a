"""What the doctor prints beside its findings: the lines for the open platform, or one JSON document."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TextIO

from tools.doctor.facts import Facts
from tools.doctor.steps.address import outgoing_addresses
from tools.doctor.steps.pages import allowed_origins, referer_of
from tools.findings import Group
from tools.paper import failed


def to_report(facts: Facts) -> dict[str, str]:
    """Give the lines for the open platform, by the field that takes each; only those that are known."""
    lines = {
        "集成页面地址 (referer)": ",".join(dict.fromkeys(map(referer_of, facts.asked.pages))),
        "请求来源 (origin)": ",".join(allowed_origins(facts)),
        "出口 IP (white list)": ",".join(outgoing_addresses(facts)),
    }
    return {field: line for field, line in lines.items() if line}


def write_json(stream: TextIO, place: str, groups: Sequence[Group], lines: Mapping[str, str]) -> None:
    """Write everything as one JSON document."""
    document = {
        "place": place,
        "ok": not failed(groups),
        "groups": [
            {"title": group.title, "findings": [asdict(finding) for finding in group.findings]}
            for group in groups
        ],
        "toReport": dict(lines),
    }
    json.dump(document, stream, ensure_ascii=False, indent=2)
    stream.write("\n")
