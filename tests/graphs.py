"""What tests of networks share: graphs of layers, built and walked."""

import keras


def unweighted(build, **options):
    """A model whose weights have shapes but no values: counting needs none of 140 million."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(**options)
    keras.backend.clear_session()  # or Keras would give them values later
    return model


def before(model, layer):
    """The layer whose output `layer` takes; of several, the last."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return next(m for m in model.layers if m.output is inputs[-1])
