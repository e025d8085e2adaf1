"""How long a run still takes, from how fast it has been."""

import math

from repro.training.smoke import FORTH_AND_BACK


class Pace:
    """The seconds that updates and tests have taken in this process.

    The first call of the loop is left out, since it compiles.
    """

    def __init__(self, batch: int):
        self._batch = batch
        self._compiled = False
        self._updates, self._training = 0, 0.0
        self._views, self._testing = 0, 0.0

    def trained(self, updates: int, seconds: float) -> None:
        if self._compiled:
            self._updates += updates
            self._training += seconds
        self._compiled = True

    def tested(self, views: int, seconds: float) -> None:
        self._views += views
        self._testing += seconds

    @property
    def update(self) -> float | None:
        """Seconds of an update; None before the second."""
        return self._training / self._updates if self._updates else None

    def updates_in(self, seconds: float) -> int:
        """How many updates take so long, at least one; one where none has been made."""
        return max(1, int(seconds / max(self.update, 1e-9))) if self._updates else 1

    def left(self, updates: int, views: int) -> float | None:
        """Seconds that so many updates, and views of images to be scored, take."""
        trained = None if self.update is None else self.update / self._batch
        if self._views:  # the first of them waited for a compiler
            view = min(self._testing / self._views, trained or math.inf)
        elif trained is not None:
            view = trained / FORTH_AND_BACK
        else:
            return None
        return updates * (self.update or 0.0) + views * view
