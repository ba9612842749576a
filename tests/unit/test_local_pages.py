import json
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug import Request
from werkzeug.test import Client

from local import ROOT
from local.attempts import attempts_control
from local.pages import Addresses, Line, Pages

ADDRESSES = Addresses("http://api", "http://platform", "000001")
PAGE = "http://127.0.0.1:8080"


def client_of(site: Path, panel: Path | None, addresses: Addresses = ADDRESSES) -> Client:
    return Client(Request.application(Pages(site, panel, addresses).answer))


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/number-verification.js", "text/javascript; charset=utf-8"),
        ("/panel/panel.js", "text/javascript; charset=utf-8"),
        ("/number-verification.d.ts", "text/plain; charset=utf-8"),
        ("/%2e%2e/outside.txt", None),
        ("/link.txt", None),
        ("/.hidden", None),
        ("/panel/../web/index.html", None),
        ("/index.html%00", None),
    ],
)
def test_a_file_of_the_site_is_served_with_its_type_and_no_other_file(
    tmp_path: Path, target: str, found: str | None
) -> None:
    site, panel = tmp_path / "web", tmp_path / "panel"
    for folder in (site, panel):
        folder.mkdir()
    for name in ("number-verification.js", "number-verification.d.ts", ".hidden", "index.html"):
        (site / name).write_text(ADDRESSES.api)
    (panel / "panel.js").write_text(ADDRESSES.api)
    (tmp_path / "outside.txt").write_text("outside")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")

    response = client_of(site, panel).get(target)

    assert response.status_code == (200 if found else 404)
    if found:
        assert (response.text, response.headers["content-type"]) == (ADDRESSES.api, found)
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "business", "own"),
    [("?from=sms", None, True), ("?panel=off", None, False), ("?panel=off", "/b", True)],
)
def test_the_page_names_the_stack_and_asks_its_own_origin_for_the_panel_or_a_back_end_alone(
    query: str, business: str | None, *, own: bool
) -> None:
    client = client_of(ROOT / "web", ROOT / "local" / "panel", replace(ADDRESSES, business=business))
    text = client.get(f"/{query}").text

    assert ("connect-src 'self' http://api http://platform" in text) is own
    assert ("connect-src http://api http://platform" in text) is not own
    assert text.count('src="/panel/panel.js"') == text.count('href="/panel/panel.css"') == ("sms" in query)
    configuration = json.loads(text.partition('id="configuration">')[2].partition("</script>")[0])
    assert configuration["sdkUrl"].startswith("http://platform/")
    wanted = {"api": "http://api", "appId": "000001", "business": business}
    assert {name: configuration.get(name) for name in wanted} == wanted


def test_on_the_test_line_the_page_names_a_number_and_loads_the_sdk_from_where_it_is() -> None:
    line = "http://120.197.235.102"

    text = client_of(ROOT / "web", None, Addresses("http://api", line, "000001", Line.TEST)).get("/").text

    assert "/panel/" not in text
    assert '"line": "test",\n  "expandParams": "phoneNum=13999994444"' in text
    assert '"sdkUrl": "https://www.cmpassport.com/' in text
    assert f"img-src {line} data:" in text
    assert f"connect-src {line} http://api https://www.cmpassport.com" in text


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [("DELETE", PAGE, 204), ("DELETE", "http://127.0.0.1:8081", 403), ("POST", PAGE, 405)],
)
def test_the_days_attempts_are_given_back_to_the_page_alone(method: str, origin: str, status: int) -> None:
    forgotten: list[str] = []
    client = Client(attempts_control(PAGE, lambda: forgotten.append("table")))

    response = client.open(method=method, headers={"Origin": origin})

    assert (response.status_code, len(forgotten)) == (status, int(status == 204))
    assert "access-control-allow-origin" not in response.headers
