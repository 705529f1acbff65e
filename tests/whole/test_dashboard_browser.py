"""A study in the dashboard, as a person sees it: a real Chromium on what the command serves."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archloss.search.dashboard.publishing import PLOTS

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("chromium", ROOT / "benchmarks" / "chromium.py")
chromium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chromium)

MISSING = chromium.find_missing()
WAIT_S = 60.0

pytestmark = [
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    # Selenium leaves the socket of each request to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def run(*arguments):
    command = [sys.executable, "-m", "archloss", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small study that was launched to its end."""
    folder = tmp_path_factory.mktemp("studies")
    settings = ["--set", "space.depth.high=8", "--set", "recipe.batch_size=64"]
    run(
        *("launch", "--dataset", "iris", "--trials", 60, "--epochs", 2, "--executor", "inline"),
        *("--sampler", "random", "--pack", 30, "--folder", folder, *settings),
    )
    return folder


@pytest.fixture(scope="module")
def page(folder):
    """The address of the study's page, served as a person would."""
    command = [sys.executable, "-m", "archloss", "dashboard", "iris", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@pytest.fixture(scope="module")
def browser():
    with chromium.open_browser(width=1400, height=1600) as browser:
        yield browser


def wait_until(question):
    """Ask until the answer is one, and return it."""
    until = time.monotonic() + WAIT_S
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.2)
    return answer


def read_page(browser):
    return browser.find_element("tag name", "body").text


def test_the_answer_is_the_studys_note(browser, page, folder):
    report = run("report", "iris", "--folder", folder, "--json")
    sentence = json.loads(report.stdout)["sentences"][0]
    browser.get(f"{page}/note")
    assert wait_until(lambda: sentence in read_page(browser)), read_page(browser)


def test_the_answers_plots_are_drawn(browser, page):
    browser.get(page)
    best, surface = (f"user-defined-plot:{name}" for name in PLOTS)

    def count(plot, parts):
        script = "return document.querySelectorAll(`[id='${arguments[0]}'] ${arguments[1]}`).length"
        return browser.execute_script(script, plot, parts)

    # Two kinds of networks, each with its points and their intervals.
    assert wait_until(lambda: count(best, ".scatterlayer .trace") == 2)
    assert count(best, ".scatterlayer .point") >= 6
    assert count(best, ".scatterlayer .errorbar") >= 6
    assert count(surface, ".contourlayer .contour path") > 10
    title = browser.execute_script(
        "return document.getElementById(arguments[0]).querySelector('.gtitle').textContent", best
    )
    assert title == "Best ce_weight over depth, with 95% intervals"
    assert wait_until(lambda: count("plot-history", ".scatterlayer .point") >= 60)


def test_a_trial_is_shown_with_its_design(browser, page):
    browser.get(f"{page}/trials?numbers=3")
    assert wait_until(lambda: "Trial 3 (trial_id=4)" in read_page(browser)), read_page(browser)
    assert "ce_weight" in read_page(browser)


def test_a_refused_change_is_said_on_the_page_and_changes_nothing(browser, page, folder):
    browser.get(page.partition("/studies/")[0])
    assert wait_until(lambda: "1. iris" in read_page(browser))
    browser.find_element("css selector", "[aria-label='delete study']").click()
    dialog = wait_until(lambda: browser.find_elements("css selector", "[role=dialog] button"))
    next(button for button in dialog if button.text.lower() in ("yes", "delete")).click()
    # The page's own words; the reason is in the answer, and on the terminal.
    assert wait_until(lambda: "Failed to delete study (id=1)" in read_page(browser))
    (study,) = json.loads(run("list", "--json", "--folder", folder).stdout)
    assert study["counts"] == {"COMPLETE": 60}
