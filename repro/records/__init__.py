"""Records: the run directory, what is read from it, and MLflow.

`repro.records()` gives the recorded runs as a pandas frame: see `repro.frames.records`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

RUNS = "runs"  # where runs are written, in the working folder
RESULTS = "results"  # records that are kept, and the pages made from them
VERIFIED = "verified"  # where `repro verify` writes its runs


class _Records(ModuleType):
    """This package, which has the name of the function that notebooks call."""

    def __call__(self) -> "pd.DataFrame":
        """The recorded runs, a row per run and protocol: see `repro.frames.records`."""
        from importlib import import_module

        return import_module("repro.frames").records()


sys.modules[__name__].__class__ = _Records
