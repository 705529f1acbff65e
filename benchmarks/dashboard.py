"""How long a study's page in the dashboard takes until all of it is drawn, in a real Chromium.

    python benchmarks/dashboard.py --trials 10000
    python benchmarks/dashboard.py --screenshot docs/images/dashboard.png

Each study is written as a driver would have; trials take no time. "archloss" is `archloss
dashboard`, "Optuna" is `optuna_dashboard.run_server` on Optuna's own cached storage. The first of
two times is when the trials had come, the second when the page was complete: every plot is drawn,
the answer's with it, and the history has a dot for each trial. "again" is a second visit, by a new
browser, after the first page was left open for a while.
"""

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import open_browser
from optuna.distributions import BaseDistribution

from archloss.search.dashboard.publishing import PLOTS, publish
from archloss.search.distributions import to_distributions
from archloss.search.spec import Spec
from archloss.spaces.outcome import Outcome
from archloss.storage.database import Database
from archloss.storage.records import TrialStart, TrialTell

PACK = 200
STUDY = "digits"
WAIT_S = 40.0
"""By then the dashboard has asked for news, and archloss keeps what it answers."""
OPTUNA = """
import sys, optuna, optuna_dashboard
storage = optuna.storages.get_storage(sys.argv[1])
optuna_dashboard.run_server(storage, "127.0.0.1", int(sys.argv[2]))
"""
COMPLETE = """
window.completeAt = 0
const every = setInterval(() => {
  const drawn = id => {
    const plot = document.getElementById(id)
    return plot !== null && plot.querySelector('.main-svg .trace, .main-svg .contourlayer') !== null
  }
  const dots = document.querySelectorAll('#plot-history .point').length
  if (dots >= TRIALS && PLOTS.every(drawn)) {
    window.completeAt = performance.now()
    clearInterval(every)
  }
}, 50)
"""
CAME = """
const asked = performance.getEntriesByType('resource')
return asked.find(entry => entry.name.includes('/api/studies/1?after=')).responseEnd
"""
DRAWN = (
    "graph-hyperparameter-importances",
    "graph-timeline",
    *(f"user-defined-plot:{name}" for name in PLOTS),
)


def fill_study(database: Database, *, name: str, trials: int, pruner: str) -> None:
    """Write a study whose best mix rises with depth in plain networks."""
    spec = Spec.model_validate(
        {
            "name": name,
            "dataset": "digits",
            "trials": trials,
            "search": {"sampler": "random", "pruner": pruner},
        }
    )
    study = database.create_study(
        name=name, spec=spec.to_json(), digest=spec.digest(), fingerprint="none", environment={}
    )
    rungs = spec.search.list_rungs(spec.recipe.epochs) if pruner != "none" else ()
    lease = database.open_lease(study.study_id)
    distributions = to_distributions(spec.dimensions())
    chance = random.Random(0)
    for first in range(0, trials, PACK):
        starts = [
            TrialStart(
                params={name: draw(one, chance) for name, one in distributions.items()},
                distributions=distributions,
            )
            for _ in range(min(PACK, trials - first))
        ]
        handles = database.start_trials(study.study_id, lease, starts, budget=None)
        errors = [get_error(start.params, chance) for start in starts]
        tells = [
            TrialTell(
                trial_id=handle.trial_id,
                state="COMPLETE",
                value=error,
                outcome=Outcome.COMPLETED,
                intermediate={rung: error + 0.1 / rung for rung in rungs or (spec.recipe.epochs,)},
                seconds=1.0,
            )
            for handle, error in zip(handles, errors, strict=True)
        ]
        database.tell(lease, tells, keep_weights=0)
    database.close_lease(lease)
    publish(database, study)


def draw(distribution: BaseDistribution, chance: random.Random) -> Any:
    """Return a random value."""
    if hasattr(distribution, "choices"):
        return chance.choice(distribution.choices)
    low, high = distribution.low, distribution.high
    if not distribution.log:
        return chance.uniform(low, high)
    value = math.exp(chance.uniform(math.log(low), math.log(high)))
    return round(value) if isinstance(low, int) else value


def get_error(params: Mapping[str, Any], chance: random.Random) -> float:
    """Return what a design reached."""
    best = 0.5 if params["residual"] else 0.1 + 0.16 * math.log2(params["depth"])
    return float(0.04 + 0.3 * (params["ce_weight"] - best) ** 2 + abs(chance.gauss(0, 0.01)))


@contextmanager
def served(url: str, side: str, port: int) -> Iterator[str]:
    """Serve the dashboard with one study; give the address of its page."""
    command = (
        [
            sys.executable,
            "-m",
            "archloss",
            "dashboard",
            STUDY,
            "--storage",
            url,
            "--port",
            str(port),
        ]
        if side == "archloss"
        else [sys.executable, "-c", OPTUNA, url, str(port)]
    )
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(15)
        yield f"http://127.0.0.1:{port}/dashboard/studies/1"
    finally:
        server.kill()
        server.wait()


def measure(page: str, *, trials: int, timeout_s: float) -> list[str]:
    """Return what a first and a second visit took, each by a browser that knows nothing."""
    told = []
    for _ in range(2):
        with open_browser(width=1400, height=1400) as browser:
            browser.command_executor.client_config.timeout = timeout_s
            source = COMPLETE.replace("TRIALS", str(trials)).replace("PLOTS", str(list(DRAWN)))
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
            told.append(wait_for(browser, page, timeout_s))
        if told[0].startswith("over"):
            break
    return told


def wait_for(browser: Any, page: str, timeout_s: float) -> str:
    """Return the seconds until the trials had come, and until the page was complete."""
    begin = time.monotonic()
    browser.execute_script("setTimeout(() => { location.href = arguments[0] }, 0)", page)
    while time.monotonic() - begin < timeout_s:
        try:
            at = browser.execute_script("return window.completeAt")
        except Exception:  # the page is not there yet, or too busy to answer
            continue
        if at:
            time.sleep(max(0.0, WAIT_S - (time.monotonic() - begin)))
            return f"{browser.execute_script(CAME) / 1000:.1f}, {at / 1000:.1f}"
        time.sleep(0.5)
    return f"over {timeout_s:.0f}"


def take_screenshot(path: Path) -> None:
    """Write the picture of docs/dashboard.md: the answer's plots on the page of a study."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/studies.db"
        database = Database(url)
        fill_study(database, name=STUDY, trials=400, pruner="none")
        database.close()
        with served(url, "archloss", 8765) as page, open_browser(width=1280, height=770) as browser:
            browser.get(page)
            time.sleep(10)
            browser.execute_script(
                "document.getElementById(arguments[0]).scrollIntoView({block: 'center'})",
                DRAWN[-1],
            )
            time.sleep(2)
            browser.save_screenshot(str(path))


def main() -> None:
    """Print a row for each kind of study and each server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sides", nargs="+", default=["archloss", "Optuna"])
    parser.add_argument("--pruners", nargs="+", default=["none", "successive-halving"])
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    if options.screenshot is not None:
        take_screenshot(options.screenshot)
        return
    print(
        "| server | pruner | trials | trials there, complete, s | again, s |\n|---|---|---|---|---|"
    )
    for pruner in options.pruners:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/studies.db"
            database = Database(url)
            fill_study(database, name=STUDY, trials=options.trials, pruner=pruner)
            database.close()
            for number, side in enumerate(options.sides):
                with served(url, side, 8760 + number) as page:
                    told = measure(page, trials=options.trials, timeout_s=options.timeout)
                again = told[1] if len(told) > 1 else ""
                print(
                    f"| {side} | {pruner} | {options.trials:,} | {told[0]} | {again} |", flush=True
                )


if __name__ == "__main__":
    main()
