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
INDEX = """<html><head><meta content="https://api.example.com https://www.cmpassport.com"></head>
<body data-app="300000000000" data-api="https://api.example.com"></body></html>"""
PAGE = "http://127.0.0.1:8080"


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    panel = tmp_path / "panel"
    panel.mkdir()
    (panel / "panel.js").write_text("// panel")
    return panel


@pytest.fixture
def client(tmp_path: Path, panel: Path) -> Client:
    site = tmp_path / "web"
    (site / "deep").mkdir(parents=True)
    (site / "index.html").write_text(INDEX)
    (site / "client.js").write_text("// https://api.example.com")
    (site / "deep" / "types.d.ts").write_text("export {}")
    (site / ".hidden").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")
    return Client(Request.application(Pages(site, panel, ADDRESSES).answer))


def index(addresses: Addresses, panel: Path | None = None, query: str = "") -> str:
    """Return the product's own page as a stack with these addresses serves it."""
    client = Client(Request.application(Pages(ROOT / "web", panel, addresses).answer))
    return client.get(f"/{query}").text


def test_the_index_names_the_stack_and_carries_the_panel(client: Client) -> None:
    response = client.get("/?from=sms")

    assert response.text.startswith('<html><head><meta content="http://api http://platform">')
    assert 'data-app="000001" data-api="http://api"' in response.text
    assert '<link rel="stylesheet" href="/panel/panel.css">\n</head>' in response.text
    assert '<script type="module" src="/panel/panel.js"></script>\n</body>' in response.text
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        ("/client.js", "// https://api.example.com", "text/javascript; charset=utf-8"),
        ("/panel/panel.js", "// panel", "text/javascript; charset=utf-8"),
        ("/deep/types.d.ts", "export {}", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_is_served_as_it_is_with_its_type(
    client: Client, target: str, body: str, content_type: str
) -> None:
    response = client.get(target)

    assert (response.text, response.headers["content-type"]) == (body, content_type)
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "target",
    ["/%2e%2e/outside.txt", "/link.txt", "/.hidden", "/panel/../web/client.js", "/client.js%00.html"],
)
def test_what_is_not_below_the_site_is_not_found(client: Client, target: str) -> None:
    assert client.get(target).status_code == 404


@pytest.mark.parametrize(
    ("query", "business", "own"),
    [("", None, True), ("?panel=off", None, False), ("?panel=off", "/b", True)],
)
def test_the_page_reaches_its_own_origin_for_the_panel_or_a_back_end_alone(
    panel: Path, query: str, business: str | None, *, own: bool
) -> None:
    addresses = replace(ADDRESSES, business=business)

    text = index(addresses, panel, query)

    assert ("connect-src 'self' http://api http://platform" in text) is own
    assert ("connect-src http://api http://platform" in text) is not own
    configuration = text.partition('id="configuration">')[2].partition("</script>")[0]
    assert json.loads(configuration).get("business") == business


def test_on_the_test_line_the_page_names_a_number_and_loads_the_sdk_from_where_it_is() -> None:
    line = "http://120.197.235.102"

    text = index(Addresses("http://api", line, "000001", Line.TEST))

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
