"""A real Chromium without a window, with a profile of its own: for a test and for benchmarks."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import psutil

FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with it, and opens our own pages alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_missing() -> str | None:
    """Return the sentence that says what a real browser lacks here, None if it lacks nothing."""
    programs = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if programs:
        return (
            f"there is no {' and no '.join(programs)} here: "
            "apt-get install chromium chromium-driver"
        )
    return None


@contextlib.contextmanager
def open_browser(*, width: int, height: int) -> Iterator[Any]:
    """Start a browser with a window of that size, and end it with all it left."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            # A page that is too busy to answer would not let it go.
            for process in psutil.Process(driver.service.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            driver.service.stop()
