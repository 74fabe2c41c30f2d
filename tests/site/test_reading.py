"""What a reader does: choose a framework, search, open a solution."""

import pytest

CHOSEN = """return [...document.querySelectorAll('.sd-tab-set > input:checked + label')]
    .map(label => label.textContent.trim())"""


@pytest.fixture
def ihello(browser):
    browser.open("tutorial/ihello.html")
    browser.run("localStorage.clear()")
    browser.open("tutorial/ihello.html")


def test_tabs_switch_in_step_and_stay_so_on_the_next_page(browser, ihello):
    before = browser.run(CHOSEN)
    assert len(before) >= 2 and {*before} == {"JAX"}
    browser.run("""[...document.querySelectorAll('.sd-tab-label')]
        .find(label => label.textContent.trim() === 'PyTorch').click()""")
    assert {*browser.run(CHOSEN)} == {"PyTorch"}
    browser.open("tutorial/names.html")
    assert {*browser.run(CHOSEN)} == {"PyTorch"}


def test_the_keyboard_reaches_the_tabs_and_switches_them(browser, ihello):
    from selenium.webdriver.common.keys import Keys

    for _ in range(200):
        focused = browser.chrome.switch_to.active_element
        if focused.get_attribute("type") == "radio":
            break
        focused.send_keys(Keys.TAB)
    assert focused.get_attribute("type") == "radio"
    focused.send_keys(Keys.ARROW_RIGHT)
    assert {*browser.run(CHOSEN)} == {"PyTorch"}


def test_the_focus_on_a_tab_is_visible(browser, ihello):
    outline = """const label = document.querySelector('.sd-tab-set > input:checked + label');
        return getComputedStyle(label).outlineStyle"""
    assert browser.run(outline) == "none"
    from selenium.webdriver.common.keys import Keys

    browser.chrome.switch_to.active_element.send_keys(Keys.TAB)
    browser.run("document.querySelector('.sd-tab-set > input:checked').focus()")
    assert browser.run(outline) != "none"


def found_by_search(browser, words):
    browser.open(f"search.html?q={words}")
    return browser.run("""
        for (let k = 0; k < 100; k++) {
            const links = [...document.querySelectorAll('#search-results li a')];
            if (links.length) return links.map(link => link.getAttribute('href'));
            await new Promise(resolve => setTimeout(resolve, 100));
        }
        return []""")


def test_search_finds_words_of_the_pages(browser):
    assert any("gru_by_hand" in link for link in found_by_search(browser, "reset_after"))
    assert any(
        "lessons" in link or "tutorial" in link for link in found_by_search(browser, "ihello")
    )


def test_a_solution_is_hidden_until_it_is_opened(browser):
    browser.open("tutorial/softmax.html")
    shown = "return document.querySelector('details .sd-tab-set').checkVisibility()"
    assert browser.run(shown) is False
    browser.run("document.querySelector('details summary').click()")
    assert browser.run(shown) is True


def test_equations_are_typeset(browser):
    browser.open("tutorial/ihello.html")
    assert browser.run("return document.querySelectorAll('mjx-container').length") >= 2


def test_the_theme_can_be_chosen(browser):
    browser.open("index.html")
    before = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.open("index.html", theme="dark")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != before
