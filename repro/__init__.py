"""A reproduction harness for the landmark CNN papers.

For notebooks (see `repro.frames`):

experiments()     what there is
records()         what was run
verdicts()        measured against reported
anatomy(network)  a network layer by layer
run(experiment)   train, test, log, judge

Each returns a pandas frame. pandas and Keras are imported when one is called.
"""

__version__ = "0.1.0"
__all__ = ("__version__", "anatomy", "experiments", "records", "run", "verdicts")


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "records":  # the package of that name, which can be called
        return import_module("repro.records")
    return getattr(import_module("repro.frames"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
