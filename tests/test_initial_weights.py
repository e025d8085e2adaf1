"""Initial weights are functions of (seed, weight), of the distribution that the paper describes."""

import hashlib
import itertools
import math
import statistics

import keras
import numpy as np
import pytest
from scipy import stats

from repro import backends, catalog
from repro.backends import distribution
from repro.errors import UsageError
from repro.networks import initial_weights, layers, lecun1998
from repro.training import trainee

RNG = keras.initializers


def drawn(initializer, shape, seed=0, name="fc") -> np.ndarray:
    """The weight `kernel` of a layer that has nothing else."""

    class Layer(keras.layers.Layer):
        def build(self, _):
            self.kernel = self.add_weight(shape=shape, initializer=initializer, name="kernel")

    with initial_weights.drawn(seed):
        layer = Layer(name=name)
        layer.build(())
    return backends.as_numpy(layer.kernel)


# ---------------------------------------------------------------------------- the stream


def philox(counter: int, key: int) -> list[int]:
    """Philox4x64-10, from its paper (Salmon et al. 2011, section 3.3): four numbers of 64 bits."""
    word = (1 << 64) - 1
    x = [counter >> 64 * i & word for i in range(4)]
    keys = [key & word, key >> 64]
    for _ in range(10):
        first, second = x[0] * 0xD2E7470EE14C6C93, x[2] * 0xCA5A826395121157
        x = [
            (second >> 64) ^ x[1] ^ keys[0],
            second & word,
            (first >> 64) ^ x[3] ^ keys[1],
            first & word,
        ]
        keys = [(k + w) & word for k, w in zip(keys, WEYL, strict=True)]
    return x


WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def test_the_stream_is_that_of_its_paper():
    """The authors' known answers for counter 0 and key 0, and for all bits set."""
    answers = (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B)
    assert tuple(philox(0, 0)) == answers
    key = 0x0123456789ABCDEF_FEDCBA9876543210
    raw = np.random.Philox(key=key).random_raw(8).tolist()
    assert raw == philox(1, key) + philox(2, key)  # NumPy counts up before it draws


@pytest.mark.parametrize("shape", [(3, 5), (7,), (), (2, 2, 3, 3)])
def test_a_weight_by_hand(shape):
    """Hash, stream, uniform numbers and the inverse of the normal distribution, in plain Python."""
    size = math.prod(shape)
    key = f"11/conv1/kernel/{shape}/0".encode()
    key = int.from_bytes(hashlib.sha256(key).digest()[:16], "big")
    words = itertools.chain.from_iterable(philox(block, key) for block in range(1, size + 2))
    halves = itertools.chain.from_iterable((w & 0xFFFFFFFF, w >> 32) for w in words)
    shares = [(half + 0.5) / 2**32 for half in itertools.islice(halves, size)]
    normal = statistics.NormalDist(0.1, 0.2)
    expected = np.reshape([normal.inv_cdf(share) for share in shares], shape)
    ours = drawn(RNG.RandomNormal(0.1, 0.2), shape, seed=11, name="conv1")
    assert ours.dtype == "float32" and ours.shape == shape
    np.testing.assert_allclose(ours, expected, rtol=3e-7)
    ours = drawn(RNG.RandomUniform(-1.0, 3.0), shape, seed=11, name="conv1")
    expected = [np.float32(-1.0 + 4.0 * share) for share in shares]
    np.testing.assert_array_equal(ours, np.reshape(expected, shape))


def test_a_weight_is_the_same_however_many_are_drawn_at_a_time(monkeypatch):
    whole = drawn(RNG.HeNormal(), (31, 17))
    for chunk in (1, 34, 50, 100):
        monkeypatch.setattr(initial_weights, "CHUNK", chunk)
        np.testing.assert_array_equal(drawn(RNG.HeNormal(), (31, 17)), whole)


# ---------------------------------------------------------------------------- the distributions


def truncated(std):
    return stats.truncnorm(-2, 2, scale=std)


def uniform(limit):
    return stats.uniform(-limit, 2 * limit)


# Of a kernel [3, 3, 40, 60]: 360 inputs and 540 outputs of a unit. What is left of the standard
# deviation where a normal distribution is cut off at two of it:
LEFT = math.sqrt(1 - 4 * stats.norm.pdf(2) / (stats.norm.cdf(2) - stats.norm.cdf(-2)))
KERNEL = (3, 3, 40, 60)
DISTRIBUTIONS = {
    "GlorotUniform": (RNG.GlorotUniform(), uniform(math.sqrt(6 / 900))),
    "GlorotNormal": (RNG.GlorotNormal(), truncated(math.sqrt(2 / 900) / LEFT)),
    "HeNormal": (RNG.HeNormal(), truncated(math.sqrt(2 / 360) / LEFT)),
    "HeUniform": (RNG.HeUniform(), uniform(math.sqrt(6 / 360))),
    "LecunNormal": (RNG.LecunNormal(), truncated(math.sqrt(1 / 360) / LEFT)),
    "LecunUniform": (RNG.LecunUniform(), uniform(math.sqrt(3 / 360))),
    "he": (layers.he(), stats.norm(0, math.sqrt(2 / 360))),
    "fan out": (RNG.VarianceScaling(2.0, "fan_out", "uniform"), uniform(math.sqrt(6 / 540))),
    "axes": (
        RNG.VarianceScaling(1.0, "fan_in", "uniform", input_axes=[2], output_axes=[3]),
        uniform(math.sqrt(3 / 40)),
    ),
    "RandomNormal": (RNG.RandomNormal(0.5, 0.01), stats.norm(0.5, 0.01)),
    "TruncatedNormal": (RNG.TruncatedNormal(0.0, 0.3), truncated(0.3)),
    "RandomUniform": (RNG.RandomUniform(-1.0, 3.0), stats.uniform(-1, 4)),
    "by name": ("he_normal", truncated(math.sqrt(2 / 360) / LEFT)),
    "FanInUniform": (lecun1998.FanInUniform(25), uniform(2.4 / 25)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_weights_have_the_distribution_of_their_initializer(name):
    """Mean, spread and bounds; and by Kolmogorov and Smirnov, a chance of one in 10^4 each.

    n weights have a mean within 4 std / sqrt(n), and a variance within 4 of its own deviations,
    var sqrt((kurtosis + 2) / n), but for one case in 16,000.
    """
    initializer, expected = DISTRIBUTIONS[name]
    weights = drawn(initializer, KERNEL, seed=5).ravel().astype("float64")
    n, std = weights.size, expected.std()
    assert abs(weights.mean() - expected.mean()) < 4 * std / math.sqrt(n)
    kurtosis = float(expected.stats("k"))
    assert abs(weights.var() / std**2 - 1) < 4 * math.sqrt((kurtosis + 2) / n)
    lowest, highest = expected.support()
    assert lowest * (1 + 1e-7) <= weights.min() and weights.max() <= highest * (1 + 1e-7)
    if math.isfinite(highest):  # one in a thousand lies beyond 99.9 % of the way
        assert weights.max() > expected.ppf(0.999) and weights.min() < expected.ppf(0.001)
    assert stats.kstest(weights, expected.cdf).pvalue > 1e-4


def test_each_unit_of_lenet5_has_the_bounds_of_its_own_fan_in():
    """C3: 3, 4 or 6 maps of 25 inputs and a bias (LeCun et al. 1998, Table I and Appendix A)."""
    fan_in = [25 * maps + 1 for maps in (3, 4, 6)]
    weights = drawn(lecun1998.FanInUniform(fan_in), (4000, 3))
    for unit, inputs in enumerate(fan_in):
        assert stats.kstest(weights[:, unit], uniform(2.4 / inputs).cdf).pvalue > 1e-4


def test_constants_are_what_they_are():
    for initializer, value in ((RNG.Zeros(), 0), (RNG.Ones(), 1), (RNG.Constant(0.25), 0.25)):
        np.testing.assert_array_equal(drawn(initializer, (3, 4)), np.full((3, 4), value))
    np.testing.assert_array_equal(drawn(RNG.Identity(2.0), (3, 3)), 2 * np.eye(3))


@pytest.mark.parametrize("initializer", [RNG.Orthogonal(), lambda shape, dtype: 0, None])
def test_what_cannot_be_drawn_is_refused(initializer):
    """None would be Keras' own choice, drawn by the backend."""
    with pytest.raises(UsageError, match="what it draws is not known"):
        drawn(initializer, (3, 3))


class Wider(RNG.RandomNormal):
    def __call__(self, shape, dtype=None):
        return 2.0 * super().__call__(shape, dtype)


def test_an_initializer_that_draws_otherwise_than_its_class_is_refused():
    with pytest.raises(UsageError, match="Wider: what it draws is not known"):
        drawn(Wider(), (3, 3))


# ---------------------------------------------------------------------------- one and another


def test_weights_are_independent_of_one_another():
    """Of other seeds, layers, shapes and places: no correlation beyond 4.5 / sqrt(n).

    153 pairs; one beyond that by chance in a thousand such tables.
    """
    n = 40_000
    like = RNG.RandomNormal()
    weights = [drawn(like, (200, 200), seed) for seed in (0, 1, 2, 2**31, 2**40)]
    weights += [drawn(like, (200, 200), 0, name) for name in ("fd", "fc1", "fc10", "conv1")]
    weights += [drawn(like, shape) for shape in ((100, 400), (400, 100), (20, 20, 10, 10))]
    first = weights[0].ravel()
    weights += [np.roll(first, by) for by in (1, 2, 4, 8, 200, 2000)]
    correlations = np.corrcoef([weight.ravel() for weight in weights])
    assert len(weights) == 18
    assert abs(correlations - np.eye(18)).max() < 4.5 / math.sqrt(n)
    squares = np.corrcoef([np.square(weight.ravel()) for weight in weights])
    assert abs(squares - np.eye(18)).max() < 4.5 / math.sqrt(n)


def two_alike(named: bool):
    images = keras.Input((4,))
    x = keras.layers.Dense(4, name="one" if named else None)(images)
    x = keras.layers.Dense(4, name="two" if named else None)(x)
    with_name = keras.layers.Dense(2, name="head")(x)
    return keras.Model(images, with_name)


def kernels(seed=0, named=False) -> list[np.ndarray]:
    with initial_weights.drawn(seed):
        return [v for v in two_alike(named).get_weights() if v.ndim == 2]


def test_how_far_keras_has_counted_its_layers_changes_nothing():
    keras.utils.clear_session()
    before = kernels()
    keras.layers.Dense(3), keras.layers.Dense(3)
    again = kernels()
    assert all(map(np.array_equal, before, again))
    first, second, head = before
    assert not np.array_equal(first, second)  # alike in all but their place
    assert np.array_equal(kernels(named=True)[2], head)  # whatever stands before it
    assert not any(map(np.array_equal, kernels(seed=1), before))


def test_beyond_the_block_and_after_an_error_keras_draws_as_ever():
    add_weight = keras.layers.Layer.add_weight
    with pytest.raises(ZeroDivisionError), initial_weights.drawn(0):
        assert keras.layers.Layer.add_weight is not add_weight
        _ = 1 / 0
    assert keras.layers.Layer.add_weight is add_weight


# ---------------------------------------------------------------------------- networks


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_replicas_and_precisions_begin_alike(precision, two_devices):
    """A weight is kept in float32, and each replica has its own copy of it."""
    before = keras.config.dtype_policy()
    experiment = catalog.experiment("resnet20-cifar10")
    try:
        alone, mirrored = (
            trainee.build(experiment, precision, 7, distribution.choose(strategy, 128))
            for strategy in ("single", "mirrored")
        )
        reference = trainee.build(experiment, "float32", 7, distribution.choose("single", 128))
    finally:
        keras.config.set_dtype_policy(before)
    for expected, one, several in zip(
        reference.weights, alone.weights, mirrored.weights, strict=True
    ):
        np.testing.assert_array_equal(backends.as_numpy(one), backends.as_numpy(expected))
        for replica in several.value.values:
            np.testing.assert_array_equal(replica.numpy(), backends.as_numpy(expected))


def test_networks_that_share_a_layer_begin_alike_in_it():
    """So what `--set` changes in a network is all that it begins otherwise in."""

    def weights(name):
        network = catalog.network(name)
        with initial_weights.drawn(3):
            variables = network.build(**network.options).trainable_variables
        return {variable.path: backends.as_numpy(variable) for variable in variables}

    ours, theirs = weights("resnet20"), weights("resnet20-b")
    assert len(ours) == 59 and len(theirs) == 65  # with two projections
    assert all(np.array_equal(ours[path], theirs[path]) for path in ours)
