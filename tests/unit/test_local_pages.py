import json
from pathlib import Path

import pytest

from local import ROOT
from local.pages import Addresses, Line, Pages
from local.server import Request

ADDRESSES = Addresses("http://api", "http://platform", "http://page", "000001")
INDEX = """<html><head><meta content="https://api.example.com https://www.cmpassport.com"></head>
<body data-app="300000000000" data-api="https://api.example.com"></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "web"
    (site / "deep").mkdir(parents=True)
    (site / "index.html").write_text(INDEX)
    (site / "client.js").write_text("// https://api.example.com")
    (site / "deep" / "style.css").write_text("body {}")
    (site / ".hidden").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")
    return site


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    panel = tmp_path / "panel"
    panel.mkdir()
    (panel / "panel.js").write_text("// panel")
    return panel


@pytest.fixture
def pages(site: Path, panel: Path) -> Pages:
    return Pages(site, panel, ADDRESSES)


@pytest.mark.parametrize("target", ["/", "/index.html", "/?panel=on#x"])
def test_the_index_names_the_stack_instead_of_the_examples(pages: Pages, target: str) -> None:
    response = pages(Request("GET", target))

    assert response.status == 200
    text = response.body.decode()
    assert text.startswith('<html><head><meta content="http://api http://platform">')
    assert 'data-app="000001" data-api="http://api"' in text
    assert dict(response.headers)["cache-control"] == "no-store"


def test_the_index_carries_the_developers_panel(pages: Pages) -> None:
    text = pages(Request("GET", "/")).body.decode()

    assert '<link rel="stylesheet" href="/panel/panel.css">\n</head>' in text
    assert '<script type="module" src="/panel/panel.js"></script>\n</body>' in text
    assert pages(Request("GET", "/panel/panel.js")).body == b"// panel"


def test_the_panel_can_be_left_out(pages: Pages) -> None:
    assert "/panel/" not in pages(Request("GET", "/?panel=off")).body.decode()


def test_without_a_simulator_there_is_no_panel(site: Path) -> None:
    pages = Pages(site, None, ADDRESSES)

    assert "/panel/" not in pages(Request("GET", "/")).body.decode()
    assert pages(Request("GET", "/panel/panel.js")).status == 404


def test_other_files_are_served_as_they_are(pages: Pages) -> None:
    assert pages(Request("GET", "/client.js")).body == b"// https://api.example.com"


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/client.js", "text/javascript; charset=utf-8"),
        ("/deep/style.css", "text/css; charset=utf-8"),
        ("/config.json", "application/json"),
    ],
)
def test_a_file_has_the_type_that_a_browser_wants(pages: Pages, target: str, content_type: str) -> None:
    headers = dict(pages(Request("GET", target)).headers)

    assert headers["content-type"] == content_type
    assert headers["x-content-type-options"] == "nosniff"


def test_the_configuration_is_there_for_tools(pages: Pages) -> None:
    response = pages(Request("GET", "/config.json"))

    assert response.body == (
        b'{"api": "http://api", "platform": "http://platform", "page": "http://page", "appId": "000001"}'
    )


@pytest.mark.parametrize(
    "target",
    [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/deep/../../outside.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/link.txt",
        "/.hidden",
        "/panel/../web/client.js",
        "/deep",
        "/nothing.html",
        "/client.js%00.html",
    ],
)
def test_what_is_not_below_the_site_is_not_found(pages: Pages, target: str) -> None:
    assert pages(Request("GET", target)).status == 404


def test_nothing_is_to_be_posted_here(pages: Pages) -> None:
    response = pages(Request("POST", "/"))

    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, HEAD")


def test_with_a_business_back_end_the_page_is_told_of_it_and_may_reach_it() -> None:
    addresses = Addresses("http://api", "http://platform", "http://page", "000001", business="/business")
    pages = Pages(ROOT / "web", None, addresses)

    text = pages(Request("GET", "/")).body.decode()

    configuration = text.partition('id="configuration">')[2].partition("</script>")[0]
    assert json.loads(configuration)["business"] == "/business"
    assert "connect-src 'self' http://api http://platform" in text
    assert json.loads(pages(Request("GET", "/config.json")).body)["business"] == "/business"


def test_without_one_the_page_reaches_no_back_end() -> None:
    text = Pages(ROOT / "web", None, ADDRESSES)(Request("GET", "/")).body.decode()

    assert '"business"' not in text
    assert "connect-src http://api http://platform" in text


@pytest.mark.parametrize(
    ("query", "business", "own"),
    [("", None, True), ("?panel=off", None, False), ("", "/b", True), ("?panel=off", "/b", True)],
)
def test_the_page_reaches_its_own_origin_for_the_panel_or_a_back_end_alone(
    panel: Path, query: str, business: str | None, *, own: bool
) -> None:
    addresses = Addresses("http://api", "http://platform", "http://page", "000001", business=business)

    text = Pages(ROOT / "web", panel, addresses)(Request("GET", f"/{query}")).body.decode()

    assert ("connect-src 'self' http://api" in text) is own


def test_on_the_test_line_the_page_names_a_number_and_loads_the_sdk_from_where_it_is() -> None:
    line = "http://120.197.235.102"
    addresses = Addresses("http://api", line, "http://page", "000001", Line.TEST)

    response = Pages(ROOT / "web", None, addresses)(Request("GET", "/"))

    text = response.body.decode()
    assert '"line": "test",\n  "expandParams": "phoneNum=13999994444"' in text
    assert '"sdkUrl": "https://www.cmpassport.com/' in text
    assert f"img-src {line} data:" in text
    assert f"connect-src {line} http://api https://www.cmpassport.com" in text
