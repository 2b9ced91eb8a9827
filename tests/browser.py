"""A headless Chromium, and a file server for exported folders."""

import functools
import http.server
import importlib.util
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))


def require_browser() -> None:
    """Skip a test without a browser. It is an error where NMT_REQUIRE_BROWSER is set, as in .ci/run."""
    installed = all(importlib.util.find_spec(name) for name in ("selenium", "axe_core_python"))
    if BROWSER and DRIVER and installed:
        return
    message = "no browser; install chromium and chromedriver (Debian: chromium-driver), and the extra test-browser"
    (pytest.fail if os.environ.get("NMT_REQUIRE_BROWSER") else pytest.skip)(message)


@contextmanager
def open_browser(*, width: int = 1200, height: int = 800, dark: bool = False, language: str = "en-US") -> Iterator[Any]:
    """Start Chromium with its own profile. Its log has the messages of the console."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-extensions",
        f"--window-size={width},{height}",
        f"--lang={language}",
        "--disable-background-networking",
    ):
        options.add_argument(argument)
    if dark:
        options.add_argument("--force-dark-mode")
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: Any) -> str:
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve a folder as any file server does. Yield its address."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def list_requests(driver: Any) -> list[str]:
    """Return the addresses that the browser has asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def find(page: Any, selector: str) -> Any:
    return page.find_element("css selector", selector)


def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "the page did not change in time"
        threading.Event().wait(0.02)
    return found


def type_text(page: Any, text: str) -> str:
    """Replace the text by another, and return its translation."""
    box = find(page, "#text")
    box.clear()
    box.send_keys(text)
    return wait_for_translation(page)


def wait_for_translation(page: Any) -> str:
    wait(
        lambda: page.execute_script(
            "return !document.querySelector('#busy.on, #translation.old') && "
            "document.querySelectorAll('#translation [role=button]').length"
        )
    )
    return str(find(page, "#translation").text)


def check_console(page: Any) -> None:
    assert [entry["message"] for entry in page.get_log("browser")] == []


def check_accessibility(page: Any) -> None:
    from axe_core_python.selenium import Axe

    results = Axe().run(page, options={"resultTypes": ["violations"]})
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in results["violations"]] == []
