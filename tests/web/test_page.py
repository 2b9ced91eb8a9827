"""The page in a real browser, which translates with the engine in the browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import (
    check_accessibility,
    check_console,
    find,
    list_requests,
    open_browser,
    require_browser,
    serve_files,
    type_text,
    wait,
    wait_for_translation,
)

from nmt import Translator
from nmt.checkpoint.web import export_web

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
LINES = ["They will play in the morning.", "The famous sister will cry."]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_browser()
    folder = tmp_path_factory.mktemp("page") / "exported"
    export_web(MODEL, folder)
    return folder


@pytest.fixture(scope="module")
def address(exported: Path) -> Iterator[str]:
    with serve_files(exported) as url:
        yield url


@pytest.fixture(scope="module")
def desktop(address: str) -> Iterator[Any]:
    """A browser with a window for all tests of this file. Each test opens the page again."""
    with open_browser() as driver:
        yield driver


@pytest.fixture
def page(desktop: Any, address: str) -> Iterator[Any]:
    desktop.get(address)
    desktop.execute_script("localStorage.clear()")
    desktop.get(address)
    yield desktop
    check_console(desktop)


def test_typing_translates_as_python_does(page: Any, exported: Path, address: str) -> None:
    model = Translator.load(exported / "model", precision="fp32")
    assert type_text(page, "\n".join(LINES)) == "\n".join(model.translate(LINES))
    assert find(page, "#spoken").get_attribute("textContent") == find(page, "#translation").text
    assert [url for url in list_requests(page) if not url.startswith((address, "data:"))] == []
    find(page, "#clear").click()
    assert find(page, "#text").get_attribute("value") == ""
    wait(lambda: find(page, "#translation").text == "")


def test_it_works_without_a_network(exported: Path) -> None:
    with open_browser() as driver:
        with serve_files(exported) as url:
            driver.get(url)
            first = type_text(driver, LINES[0])
            driver.execute_async_script("navigator.serviceWorker.ready.then(arguments[0])")
        driver.refresh()  # nobody serves the files now
        assert type_text(driver, LINES[0]) == first
        check_console(driver)


def test_pointing_at_a_word_shows_its_source(page: Any) -> None:
    from selenium.webdriver import ActionChains

    type_text(page, LINES[1])
    ActionChains(page).move_to_element(page.find_elements("css selector", "#translation [role=button]")[-1]).perform()
    mark = wait(lambda: page.find_elements("css selector", "#shadow mark"))
    assert mark[0].get_attribute("textContent") in LINES[1].split()


def test_alternatives_by_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    before = type_text(page, LINES[1])
    words = page.find_elements("css selector", "#translation [role=button]")
    page.execute_script("arguments[0].focus()", words[0])
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element == words[1]
    page.switch_to.active_element.send_keys(Keys.ENTER)
    options = wait(lambda: page.find_elements("css selector", "#alternatives b"))
    check_accessibility(page)
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert page.switch_to.active_element == words[1]
    assert not find(page, "#alternatives").is_displayed()
    page.switch_to.active_element.send_keys(Keys.ENTER)
    options = wait(lambda: page.find_elements("css selector", "#alternatives b"))
    other = next(index for index, option in enumerate(options) if option.text != words[1].text)
    chosen = options[other].text
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN * other + Keys.ENTER)
    wait(lambda: find(page, "#translation").text != before)
    after = wait_for_translation(page)
    assert after.split()[:2] == [before.split()[0], chosen]
    assert page.switch_to.active_element.text == chosen


@pytest.mark.parametrize(
    ("name", "settings"),
    [("light", {}), ("dark", {"dark": True, "language": "de-DE"}), ("phone", {"width": 500, "height": 900})],
)
def test_every_form_is_accessible(address: str, name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    with open_browser(**settings) as driver:
        driver.get(address)
        check_accessibility(driver)
        type_text(driver, LINES[1])
        check_accessibility(driver)
        wide = driver.execute_script("return document.documentElement.scrollWidth > innerWidth")
        assert not wide
        assert driver.save_screenshot(str(tmp_path / f"{name}.png"))
        german = name == "dark"
        assert find(driver, "html").get_attribute("lang") == ("de" if german else "en")
        assert find(driver, "html").get_attribute("data-theme") == ("dark" if german else "light")
        assert find(driver, "h1").text == ("Übersetzen" if german else "Translate")
        check_console(driver)


def test_settings_are_kept(page: Any) -> None:
    find(page, "#interface").click()
    find(page, "#theme").click()
    find(page, "#theme").click()
    page.refresh()
    assert find(page, "h1").text == "Übersetzen"
    assert find(page, "html").get_attribute("data-theme") == "dark"


def test_text_from_right_to_left(page: Any) -> None:
    type_text(page, "שלום עולם")
    assert page.execute_script("return getComputedStyle(document.getElementById('text')).direction") == "rtl"


def test_a_damaged_file_is_reported(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "damaged")
    (tmp_path / "damaged" / "model" / "tokenizer.model").write_bytes(b"short")
    with serve_files(tmp_path / "damaged") as url, open_browser() as driver:
        driver.get(url)
        assert wait(lambda: find(driver, "#error").text).startswith("tokenizer.model has 5 bytes instead of ")
