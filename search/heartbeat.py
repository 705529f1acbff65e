"""The sign of life of a driver: its lease, renewed from a thread of its own."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType

RENEW_EVERY_S = 10.0
_logger = logging.getLogger(__name__)


class Heartbeat:
    """Calls `renew` every `every_s` seconds while it is entered.

    `stop_requested` is whether any answer was that someone asked the study to stop.

    Not on the study's thread: fitting a sampler may keep that one busy for longer than a lease
    lasts. A renewal that fails is tried again at the next beat; should the lease be lost
    meanwhile, the database refuses what is told under it.
    """

    def __init__(self, renew: Callable[[], bool], *, every_s: float = RENEW_EVERY_S) -> None:
        self.stop_requested = False
        self._renew = renew
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="archloss-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self.stop_requested = self._renew() or self.stop_requested
            except Exception as error:
                _logger.warning("the driver's lease could not be renewed: %s", error)
