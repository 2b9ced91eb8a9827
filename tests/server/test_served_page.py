"""The page that a server sends, in a real browser."""

import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import server_tools
from browser import (
    check_accessibility,
    check_console,
    find,
    list_requests,
    open_browser,
    require_browser,
    type_text,
    wait,
)

LINES = ["They will play in the morning.", "The famous sister will cry."]


def test_the_files_of_the_page_are_sent_compressed() -> None:
    with server_tools.serve() as client:
        sizes = 0
        for path in ("/", "/page/page.js", "/page/page.css", "/page/server.js", "/icon.svg", "/manifest.webmanifest"):
            response = client.get(path)
            assert response.status_code == 200
            assert response.headers["content-encoding"] == "gzip"
            assert "default-src 'none'" in response.headers["content-security-policy"]
            sizes += len(gzip.compress(response.content))
            assert client.get(path, headers={"Accept-Encoding": "identity"}).content == response.content
        assert sizes < 100_000
        assert client.get("/page/nothing.js").status_code == 404
        assert client.get("/page/..%2f__init__.py").status_code == 404


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    back = server_tools.load_model("back", "de", "en")
    with server_tools.serve_port(server_tools.load_model(), back, requests_per_minute=0) as url:
        yield url + "/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    require_browser()
    with open_browser() as driver:
        yield driver


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get(address)
    assert wait(lambda: browser.find_elements("css selector", "#source option[value=en]"))
    browser.execute_script("document.querySelector('#source').value = 'en'")
    browser.execute_script("document.querySelector('#source').dispatchEvent(new Event('change'))")
    return browser


@pytest.mark.slow
def test_words_that_the_model_is_not_sure_of(page: Any) -> None:
    own = server_tools.load_model().translator
    type_text(page, "A dog.")
    score = own.score("A dog.", own.translate("A dog.")[0])[0]
    assert sum(score.token_log_probabilities[-3:-1]) < math.log(0.15)  # the last word, which has two tokens
    marked = page.find_elements("css selector", "#translation.doubts [data-doubt=strong]")
    assert [word.text for word in marked] == own.translate("A dog.")[0].split()[-1:]


@pytest.mark.slow
def test_translating_swapping_and_alternatives(page: Any, address: str) -> None:
    own = server_tools.load_model().translator.translate(LINES)
    assert type_text(page, "\n".join(["", *LINES])) == "\n".join(["", *own]).strip()
    check_accessibility(page)
    words = page.find_elements("css selector", "#translation [role=button]")
    assert all("%" in word.get_attribute("title") for word in words)
    assert find(page, "#doubt-label").is_displayed()
    words[0].click()
    assert wait(lambda: page.find_elements("css selector", "#alternatives b"))
    check_accessibility(page)
    assert page.find_elements("css selector", "#shadow mark")
    find(page, "#swap").click()
    assert find(page, "#source").get_attribute("value") == "de"
    assert find(page, "#text").get_attribute("value").strip() == "\n".join(own)
    check_console(page)
    assert [url for url in list_requests(page) if not url.startswith((address, "data:"))] == []


@pytest.mark.slow
def test_a_glossary(page: Any) -> None:
    find(page, "#glossary summary").click()
    find(page, "#terms").send_keys("sister = Bruder")
    assert "Bruder" in type_text(page, LINES[1])
    check_accessibility(page)
    check_console(page)


@pytest.mark.slow
def test_a_file(page: Any, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(LINES), encoding="utf-8")
    find(page, "#file").send_keys(str(tmp_path / "lines.txt"))
    link = wait(lambda: page.find_elements("css selector", "#files a"))[0]
    assert link.get_attribute("download") == "lines.txt"
    script = "const [url, done] = arguments; fetch(url).then((answer) => answer.text()).then(done)"
    found = page.execute_async_script(script, link.get_attribute("href"))
    assert found.split("\n") == server_tools.load_model().translator.translate(LINES)


@pytest.mark.slow
def test_a_server_that_ends_is_reported() -> None:
    require_browser()
    with open_browser() as driver:
        with server_tools.serve_port() as url:
            driver.get(url + "/")
            type_text(driver, LINES[0])
        find(driver, "#text").send_keys(" They play.")
        assert wait(lambda: find(driver, "#error").text).startswith("The server does not answer.")
