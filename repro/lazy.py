"""Modules that are imported when they are first used.

Paper modules describe experiments and build networks. Describing needs no Keras, and importing
Keras imports TensorFlow, which takes seconds; `repro list` must answer within one, and wrong usage
within half of one, for which NumPy is slow.
"""

from importlib import import_module


class LazyModule:
    """Stands for the module `name` and imports it at the first attribute access."""

    def __init__(self, name: str):
        self._name, self._module = name, None

    def __getattr__(self, attribute: str):
        self._module = self._module or import_module(self._name)
        return getattr(self._module, attribute)


keras = LazyModule("keras")
fukushima1980 = LazyModule("repro.networks.fukushima1980")
krizhevsky2012 = LazyModule("repro.networks.krizhevsky2012")
layers = LazyModule("repro.networks.layers")
lecun1998 = LazyModule("repro.networks.lecun1998")
zeiler2013 = LazyModule("repro.networks.zeiler2013")
numpy = LazyModule("numpy")
