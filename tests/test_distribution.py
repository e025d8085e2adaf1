"""Where a run computes: which devices, who is refused, and that no example is lost between them."""

import numpy as np
import pytest
from programs.seen import BATCH, seen

from repro import backends, spec
from repro.backends import distribution
from repro.errors import UsageError
from repro.networks import initial_weights, losses, optimizers
from repro.training import evaluation


@pytest.mark.parametrize("name", ["many", "mirored", "", "Single"])
def test_an_unknown_strategy_names_the_known_ones(name):
    with pytest.raises(UsageError, match=r"unknown strategy.*auto, single, mirrored") as raised:
        distribution.choose(name, 128)
    assert raised.value.exit_code == 2
    if name == "mirored":
        assert "did you mean mirrored" in str(raised.value)


def test_several_hosts_are_said_to_come_later():
    with pytest.raises(UsageError, match="multi-worker: not there yet; accepted: auto, single"):
        distribution.choose("multi-worker", 128)


@pytest.mark.parametrize("batch", [1, 7, 127])
def test_a_batch_that_cannot_be_divided_is_refused(two_devices, batch):
    with pytest.raises(UsageError, match=f"batch of {batch} cannot be divided between 2") as raised:
        distribution.choose("mirrored", batch)
    assert "--strategy single" in str(raised.value)


def test_mirrored_needs_more_than_one_device(two_devices, monkeypatch):
    all_of = two_devices.config.list_logical_devices
    monkeypatch.setattr(two_devices.config, "list_logical_devices", lambda kind: all_of(kind)[:1])
    with pytest.raises(UsageError, match="two devices or more"):
        distribution.choose("mirrored", 128)


def test_mirrored_takes_both_devices(two_devices):
    devices = distribution.choose("mirrored", 128)
    assert (devices.name, devices.replicas) == ("mirrored", 2)
    assert devices.strategy.num_replicas_in_sync == 2
    assert len(set(devices.devices)) == 2


@pytest.mark.parametrize("strategy", ["auto", "single"])
def test_without_gpus_one_device_is_taken(two_devices, strategy):
    devices = distribution.choose(strategy, 128)
    assert (devices.name, devices.replicas, devices.strategy) == ("single", 1, None)


@pytest.mark.parametrize(
    ("batch", "name", "replicas"), [(128, "mirrored", 2), (127, "single", 1), (1, "single", 1)]
)
def test_auto_takes_all_gpus_where_the_batch_can_be_divided(monkeypatch, batch, name, replicas):
    monkeypatch.setattr(backends.here(), "devices", lambda: ["GPU:0", "GPU:1"])
    devices = distribution.choose("auto", batch)
    assert (devices.name, devices.replicas) == (name, replicas)


class Adding:
    """A loss that is the output; every second prediction is wrong, and that of nothing too."""

    def __init__(self):
        self.sizes = []  # of the batches that it was traced for

    def __call__(self, outputs, labels):
        self.sizes.append(outputs.shape[0])
        return outputs[:, 0]

    def predict(self, outputs):
        return outputs[:, 0] + 1


def numbered(updates, batch):
    """Images 1, 2, 3, ...; the label is what `Adding` predicts for the odd ones."""
    images = np.arange(1, updates * batch + 1, dtype="float32").reshape(updates, batch, 1)
    numbers = images[..., 0].astype("int32")
    return images, np.where(numbers % 2, numbers + 1, numbers)


@pytest.mark.parametrize(("strategy", "batch"), [("single", 4), ("single", 32), ("mirrored", 32)])
def test_every_example_of_a_chunk_is_used_once_and_no_filling(two_devices, strategy, batch):
    """Also of a chunk with fewer updates than the loop was compiled for."""
    import keras

    devices, loss = distribution.choose(strategy, batch), Adding()
    with devices.scope():
        output = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((1,)), output])
        sgd = optimizers.build(spec.SGD(1.0))
        sgd.build(model.trainable_variables)
    loop = devices.loop(model, sgd, loss, batch, 3)
    for updates in (3, 2, 1):  # at a rate of 0, so that the weight stays 1
        examples = updates * batch
        losses, wrong = loop(*numbered(updates, batch))
        assert losses == examples * (examples + 1) // 2  # 1 + 2 + ... + n
        assert wrong == examples // 2
    assert set(loss.sizes) == {batch // devices.replicas}  # each replica has its part of the batch
    assert (
        len(loss.sizes) <= 2 * devices.replicas
    )  # compiled once (and traced once), for all chunks
    before, (images, labels) = float(model.layers[-1].kernel[0, 0]), numbered(1, batch)
    sgd.learning_rate.assign(1.0)
    loop(images, labels)
    # the mean loss of the batch falls by its gradient, which is the mean image
    assert float(model.layers[-1].kernel[0, 0]) == before - images.mean()


def test_two_devices_hold_the_training_set_each(two_devices):
    """What they train and test on is the same as where the host makes the images."""
    import keras

    devices = distribution.choose("mirrored", BATCH)
    images, places, held = seen("mean of each pixel", "crops and flips")
    labels = np.random.default_rng(2).integers(0, 10, places.shape[:2]).astype("int32")
    found = []
    for chunk, resident in ((images, None), (places, held)):
        with devices.scope(), initial_weights.drawn(5):
            pixels = keras.Input(images.shape[2:])
            outputs = keras.layers.Dense(10)(keras.layers.Flatten()(pixels))
            model, sgd = (
                keras.Model(pixels, outputs),
                optimizers.build(spec.SGD(0.05, momentum=0.9)),
            )
            sgd.build(model.trainable_variables)
        sgd.learning_rate.assign(0.05)
        loop = devices.loop(model, sgd, losses.SoftmaxCrossEntropy(), BATCH, 3, resident)
        sums = [loop(chunk, labels) for _ in range(3)]
        score = evaluation.scorer(model, losses.SoftmaxCrossEntropy())
        tested = images[0], labels[0]
        there = evaluation.Held(score, *tested) if resident else None
        sums.append(evaluation.evaluate(score, *tested, held=there).metrics)
        found.append((sums, [variable.numpy() for variable in model.trainable_variables]))
    (sums, weights), (sums_too, weights_too) = found
    assert sums == sums_too and sums[-2][0] < sums[0][0]
    for one, other in zip(weights, weights_too, strict=True):
        np.testing.assert_array_equal(one, other)


class Difference:
    """A loss whose sum over a batch is what the images of class 0 give, less those of class 1."""

    def __call__(self, outputs, labels):
        import keras

        return outputs[:, 0] * (1.0 - 2.0 * keras.ops.cast(labels, "float32"))

    def predict(self, outputs):
        return outputs[:, 0]


def test_each_replica_drops_other_units(two_devices):
    """Halves of ones through a dropout of 1,000 units: alike only if the same ones are dropped."""
    import keras

    devices = distribution.choose("mirrored", 4)
    with devices.scope():
        keras.utils.set_random_seed(0)
        images = keras.Input((1000,))
        summed = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Model(images, summed(keras.layers.Dropout(0.5)(images)))
        sgd = optimizers.build(spec.SGD(1.0))  # the rate is 0 until it is set
        sgd.build(model.trainable_variables)
    before = [v.numpy() for v in model.non_trainable_variables]
    loop = devices.loop(model, sgd, Difference(), 4, 1)
    labels = np.array([[0, 0, 1, 1]], "int32")  # the first replica's, and the second's
    found = [loop(np.ones((1, 4, 1000), "float32"), labels)[0] for _ in range(3)]
    assert min(map(abs, found)) > 0 and len(set(found)) == 3
    # as before, so that a checkpoint, which keeps the first replica's, is enough to go on from
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        variable.assign(value)
    assert [loop(np.ones((1, 4, 1000), "float32"), labels)[0] for _ in range(3)] == found


def test_filling_up_keeps_what_is_there():
    images, labels = numbered(2, 3)
    longer = backends.padded(images, 5)
    assert longer.shape == (5, 3, 1) and longer.dtype == images.dtype
    np.testing.assert_array_equal(longer[:2], images)
    assert backends.padded(labels, 2) is labels


def test_threads_are_left_alone_for_whole_batches(two_devices):
    threading = two_devices.config.threading
    before = threading.get_intra_op_parallelism_threads()
    assert backends.here().configure(128) is None
    assert threading.get_intra_op_parallelism_threads() == before


def dense(inputs: int, outputs: int):
    import keras

    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def test_what_is_compiled_by_xla(two_devices):
    """Not under a strategy, and not where operations take longer than to call them: for whole
    batches, and for networks larger than LeNet-5, which has 340,908 connections."""
    single, mirrored = (distribution.choose(s, 32) for s in ("single", "mirrored"))
    small, large = dense(100, 3400), dense(1000, 41_000)  # as LeNet-5, and as ResNet-20
    assert single.compiler(1, small) == "xla"
    assert single.compiler(15, small) == "xla"
    assert single.compiler(16, small) == "graph"
    assert mirrored.compiler(2, small) == "graph"
    assert single.compiler(1, large) == "graph"


def test_networks_of_1998_are_compiled_by_xla_and_photographs_are_not():
    """By what the papers print, or what follows from their tables."""
    from repro import catalog
    from repro.networks import work

    devices = distribution.choose("single", 1)
    for name in ("lenet5", "lenet1", "fully-connected-300-100", "lenet5-modern"):
        network = catalog.network(name)
        model = network.build(**network.options)
        assert devices.compiler(1, model) == "xla", name
    for name, options in (("vgg-a", {"classes": 10, "side": 32}), ("resnet20", {})):
        network = catalog.network(name)
        model = network.build(**{**network.options, **options})
        assert devices.compiler(1, model) == "graph", name
        assert work.multiply_adds(model) > 30e6


@pytest.mark.parametrize("parts", [(7,), (1, 6), (2, 2, 3)])
@pytest.mark.parametrize("batch", [4, 32])  # compiled by XLA, and not
def test_a_chunk_in_several_calls_gives_the_bits_of_one(two_devices, batch, parts):
    """The sum of the losses is carried on in float32, as within one call."""
    import keras

    draw = np.random.default_rng(1)
    images = draw.normal(size=(7, batch, 6)).astype("float32")
    labels = draw.integers(0, 3, (7, batch)).astype("int32")

    def trained(parts):
        keras.utils.set_random_seed(2)
        model = dense(6, 3)
        sgd = optimizers.build(spec.SGD(rate=0.1, momentum=0.9))
        sgd.build(model.trainable_variables)
        sgd.set_rate(0.1)
        devices = distribution.choose("single", batch)
        loop = devices.loop(model, sgd, losses.SoftmaxCrossEntropy(), batch, 7)
        total, first, wrong = 0.0, 0, 0
        for updates in parts:
            part = slice(first, first + updates)
            total, more = loop(images[part], labels[part], total)
            first, wrong = first + updates, wrong + more
        return total, wrong, [backends.as_numpy(v) for v in (*model.variables, *sgd.variables)]

    whole, cut = trained((7,)), trained(parts)
    assert cut[:2] == whole[:2]
    assert all(np.array_equal(a, b) for a, b in zip(cut[2], whole[2], strict=True))
