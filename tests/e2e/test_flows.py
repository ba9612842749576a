"""The flows that all engines play, in Chromium."""

import pytest

from tests.e2e.browser import FAILED_REQUEST, SMALL_PHONE, LoginPage
from tests.e2e.flows import FLOWS


@pytest.mark.parametrize("name", FLOWS)
def test_flow(phone: LoginPage, name: str) -> None:
    phone.tolerated = (FAILED_REQUEST, "The API refuses pages of")
    if name in {"bridge", "without_its_script"}:
        phone.tolerated = ("",)  # much is forbidden there
    if name == "large_fonts":
        phone.page.set_viewport_size(SMALL_PHONE)
    FLOWS[name](phone)
