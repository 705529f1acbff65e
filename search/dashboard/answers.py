"""A WSGI filter that compresses the dashboard's answers, and keeps those about whole studies.

For a study at rest the dashboard goes through all its trials each time a page asks for news: 10,000
of them keep a core busy for seconds, every ten seconds, for each page that is open.
"""

import gzip
import math
import re
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from archloss.search.dashboard.guard import Application, Environ, StartResponse

_STUDY = re.compile(r"/api/studies/(\d+)(/.*)?")
_SETTLED_S = 15.0
"""The dashboard shows trials that it read up to ten seconds ago: so long after a study has changed
no answer is kept."""
_MOST_KEPT = 32
_SMALLEST = 1000
_LEVEL = 1

Stamp = Callable[[int], str | None]
Headers = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole response."""

    status: str
    headers: Headers
    body: bytes

    def compress(self) -> "Answer":
        """Return the same, compressed; all that come here are for readers that take gzip."""
        headers = [pair for pair in self.headers if pair[0].lower() != "content-length"]
        body = gzip.compress(self.body, _LEVEL)
        more = [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        return Answer(status=self.status, headers=[*headers, *more], body=body)


class Keeper:
    """Keeps answers about studies for as long as `stamp` says that these are the same."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._kept: OrderedDict[tuple[int, str], tuple[str, Answer]] = OrderedDict()
        self._seen: dict[int, tuple[str | None, float]] = {}
        self._making: dict[int, threading.Lock] = defaultdict(threading.Lock)
        self._one_at_a_time = threading.Lock()

    def answer(self, study_id: int, question: str, make: Callable[[], Answer]) -> Answer:
        """Return the answer to a question about a study, made anew or as it was.

        While one is made, others on the same study wait: they may get the same.
        """
        stamp = self._stamp(study_id)
        settled = self._is_settled(study_id, stamp)
        if stamp is None:
            return make()
        with self._one_at_a_time:
            making = self._making[study_id]
        with making:
            known, kept = self._kept.get((study_id, question), ("", None))
            if kept is not None and known == stamp:
                return kept
            made = make()
            if settled and made.status.startswith("200"):
                self._keep((study_id, question), stamp, made)
            return made

    def _is_settled(self, study_id: int, stamp: str | None) -> bool:
        """Say whether nobody was shown the study as it was before, not even a while ago."""
        with self._one_at_a_time:
            known, since = self._seen.get(study_id, (stamp, -math.inf))
            if known != stamp:
                since = time.monotonic()
            self._seen[study_id] = (stamp, since)
            return time.monotonic() - since > _SETTLED_S

    def _keep(self, key: tuple[int, str], stamp: str, answer: Answer) -> None:
        with self._one_at_a_time:
            self._kept[key] = (stamp, answer)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)


class Answers:
    """Answers from what was kept, else from the application; compresses what is worth it."""

    def __init__(self, application: Application, stamp: Stamp) -> None:
        self._application = application
        self._keeper = Keeper(stamp)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        takes_gzip = "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "")
        is_looking = environ["REQUEST_METHOD"] == "GET"
        if not (is_looking and takes_gzip and path.startswith(("/api/", "/csv/"))):
            return self._application(environ, start_response)

        def make() -> Answer:
            made = _call(self._application, environ)
            return made.compress() if len(made.body) >= _SMALLEST else made

        study = _STUDY.fullmatch(path)
        question = f"{path}?{environ.get('QUERY_STRING', '')}"
        answer = self._keeper.answer(int(study[1]), question, make) if study else make()
        start_response(answer.status, answer.headers)
        return [answer.body]


def _call(application: Application, environ: Environ) -> Answer:
    """Return the application's whole response."""
    begun: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, _error: Any = None) -> None:
        begun.append((status, list(headers)))

    parts = application(environ, start)
    try:
        body = b"".join(parts)
    finally:
        getattr(parts, "close", lambda: None)()
    status, headers = begun[-1]
    return Answer(status=status, headers=headers, body=body)
