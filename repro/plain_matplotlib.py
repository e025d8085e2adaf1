"""Matplotlib as it is shipped, whatever the user has set for figures of their own.

A `matplotlibrc` in the working folder or the home folder, a style and MPLBACKEND change how figures
look; broken ones let the import fail, and with it that of Keras, which imports Matplotlib too.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from repro.machine import environment


def load() -> ModuleType:
    """The module `matplotlib`, imported without the user's settings unless it is imported already.

    Raises ImportError where it is not installed.
    """
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    package = find_spec("matplotlib")
    if package is None:
        raise ImportError("matplotlib is not installed")
    shipped = Path(package.submodule_search_locations[0], "mpl-data")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # else it tells of its font cache
    ours = {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(shipped / "matplotlibrc")}
    with environment(ours), _away_from_a_settings_file(shipped):
        import matplotlib

        # The styles in the user's folder are read when this module is first imported.
        users_folder, matplotlib.get_configdir = matplotlib.get_configdir, lambda: str(shipped)
        try:
            import matplotlib.style
        finally:
            matplotlib.get_configdir = users_folder
    return matplotlib


@contextlib.contextmanager
def _away_from_a_settings_file(shipped: Path) -> Iterator[None]:
    """Leaves the working folder for a moment if it holds a matplotlibrc, which comes first."""
    if not os.path.isfile("matplotlibrc"):
        yield
        return
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    os.chdir(shipped)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
