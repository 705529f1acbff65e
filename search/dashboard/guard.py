"""A WSGI filter in front of the dashboard, which itself lets whoever reaches it change anything.

It listens on this machine alone, but a browser here also runs other people's pages. One of them
may have its own name point to 127.0.0.1 (DNS rebinding): the Host header tells. Or it may post a
form across sites: the Origin header tells.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_LOOKS = ("GET", "HEAD")
_MOST_TOLD = 20
_HERE = ("127.0.0.1", "localhost", "::1")
_RENAME = re.compile(r"/api/studies/\d+/rename/*")
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class Guard:
    """Lets through what comes from this machine's own pages, and changes only if it `may_write`.

    `tell` is called with each reason to refuse, once: the dashboard's pages say no more than that
    something failed.
    """

    def __init__(
        self, application: Application, *, may_write: bool, tell: Callable[[str], None]
    ) -> None:
        self._application = application
        self._may_write = may_write
        self._tell = tell
        self._told: set[str] = set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reason = self._find_reason(environ)
        if reason is not None:
            if reason not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(reason)
                self._tell(reason)
            return _refuse(reason, start_response)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *_HEADERS], *rest)

        environ.setdefault("HTTP_ACCEPT_ENCODING", "")  # the dashboard takes it for granted
        return self._application(environ, start)

    def _find_reason(self, environ: Environ) -> str | None:
        """Return why the request is refused, None if it is not."""
        host = environ.get("HTTP_HOST", "")
        if _find_name(host) not in _HERE:
            return (
                f"this dashboard answers to http://127.0.0.1 and http://localhost alone, but was "
                f"asked for {host!r}: open it under one of these"
            )
        if environ["REQUEST_METHOD"] in _LOOKS:
            return None
        if not self._may_write:
            return (
                "this dashboard is read-only: `archloss dashboard --write` serves one that can "
                "change studies"
            )
        origin = environ.get("HTTP_ORIGIN", "")
        if origin != f"http://{host}":
            return (
                f"only this dashboard's own pages may change studies: Origin must be "
                f"'http://{host}', but is {origin!r}"
            )
        if _RENAME.fullmatch(environ.get("PATH_INFO", "")):
            return (
                "a study cannot be renamed here: the dashboard would copy its trials to a new one "
                "and delete it, with all its curves and weights"
            )
        return None


def _find_name(host: str) -> str | None:
    """Return the name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not close
        return None


def _refuse(reason: str, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a reason, in the form in which the dashboard gives its own."""
    body = json.dumps({"reason": reason}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("403 Forbidden", [*headers, *_HEADERS])
    return [body]
