"""What tests of networks share: graphs of layers, built without weights, counted and walked."""

from functools import cache

import keras

from repro import catalog
from repro.networks import anatomy


def unweighted(build, **options):
    """A model whose weights have shapes but no values: counting needs none of 140 million."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(**options)
    # Or Keras would give them values later. The memory stays: to look through it takes longer than
    # to build the network.
    keras.backend.clear_session(free_memory=False)
    return model


@cache
def model_of(name, **changed):
    """The network that the catalog has under `name`, without weights; built once for all tests."""
    network = catalog.network(name)
    return unweighted(network.build, **{**network.options, **changed})


@cache
def counted(name, **changed):
    """The anatomy of that network."""
    return anatomy.anatomy(model_of(name, **changed))


def layers_of(name, **changed):
    """Its layers by name, as the anatomy describes them."""
    return {layer["name"]: layer for layer in counted(name, **changed)["layers"]}


def before(model, layer):
    """The layer whose output `layer` takes; of several, the last."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return next(m for m in model.layers if m.output is inputs[-1])
