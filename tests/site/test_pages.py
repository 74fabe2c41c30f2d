"""Every page, on a wide and on a narrow screen, in both themes."""

import pytest

WIDTHS = 1280, 390


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_complains_of_nothing_asks_nobody_and_fits(browser, page, width):
    browser.open(page, width=width)
    assert browser.complaints() == []
    assert [url for url in browser.requested() if not url.startswith(browser.address)] == []
    assert browser.too_wide() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_is_accessible(browser, page, theme):
    browser.open(page, theme=theme)
    assert browser.run("return document.documentElement.dataset.theme") == theme
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.violations() == []
