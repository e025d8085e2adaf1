"""Keeps MLflow up to date with a run while it trains."""

import time

from repro.errors import ReproError, RunError
from repro.records import tracking

ENDS = ("done", "failed", "interrupted")


class Follower:
    """An observer that logs what the run directory says. The first failure is the last try."""

    def __init__(self):
        self._run_dir = ""
        self._logged_at = time.monotonic()
        self._gave_up = False

    def __call__(self, event: dict) -> None:
        """Logs at the end, and after a pass where the last time is long ago. Raises RunError."""
        kind = event["event"]
        self._run_dir = event.get("run_dir") or self._run_dir
        long_ago = time.monotonic() - self._logged_at > tracking.SECONDS_BETWEEN_SYNCS
        if self._gave_up or not (kind in ENDS or (kind == "pass" and long_ago)):
            return
        try:
            tracking.sync(self._run_dir)
        except ReproError as error:
            self._gave_up = True
            raise RunError(
                f"{error}; everything is kept, log it with: repro sync {self._run_dir}"
            ) from None
        self._logged_at = time.monotonic()
