"""Updates and curvatures as the papers define them, against sums written out in NumPy."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from repro import (
    catalog,
    spec,
)
from repro.errors import UsageError
from repro.networks import curvature, lecun1998, losses, optimizers

RNG = np.random.default_rng(3)
ANY = keras.initializers.RandomNormal(stddev=0.5, seed=5)


def updates(optimizer, start, gradients, rates):
    """The weight after each gradient, one after the other."""
    weight = keras.Variable(np.asarray(start, "float32"))
    optimizer.build([weight])
    seen = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate.assign(rate)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [weight])
        seen.append(weight.numpy())
    return np.stack(seen)


def test_weight_decay_goes_through_the_momentum():
    """FIELD's M1: 200 steps without gradient, rate 0.1, momentum 0.9, decay 0.01, leave 0.120."""
    sgd = optimizers.build(spec.SGD(0.1, momentum=0.9, weight_decay=1e-2))
    after = updates(sgd, [1.0, -2.0], np.zeros((200, 2)), [0.1] * 200)[-1]
    # (v, w) <- (0.9 v - 0.001 w, 0.9 v + (1 - 0.001) w)
    closed = np.linalg.matrix_power([[0.9, -0.001], [0.9, 0.999]], 200) @ [0.0, 1.0]
    np.testing.assert_allclose(after, closed[1] * np.array([1.0, -2.0]), rtol=1e-4)
    assert round(float(after[0]), 3) == 0.120


def test_kernels_alone_decay_where_the_recipe_says_so():
    sgd = optimizers.build(spec.SGD(0.1, momentum=0.0, weight_decay=0.5, decayed="kernels"))
    kernel, bias = keras.Variable([[2.0]], name="kernel"), keras.Variable([2.0], name="bias")
    sgd.build([kernel, bias])
    sgd.learning_rate.assign(0.1)
    sgd.apply([keras.ops.convert_to_tensor(g) for g in ([[0.0]], [0.0])], [kernel, bias])
    np.testing.assert_allclose(kernel.numpy(), [[2.0 - 0.1 * 0.5 * 2.0]], rtol=1e-6)
    np.testing.assert_allclose(bias.numpy(), [2.0])


def test_momentum_keeps_the_rate_that_a_gradient_came_with():
    gradients, rates = RNG.normal(size=(6, 3)), [0.1, 0.1, 0.1, 0.01, 0.01, 0.02]
    w, v, expected = np.ones(3), np.zeros(3), []
    for gradient, rate in zip(gradients, rates, strict=True):
        v = 0.8 * v - rate * (gradient + 0.05 * w)
        w = w + v
        expected.append(w)
    sgd = optimizers.build(spec.SGD(0.1, momentum=0.8, weight_decay=0.05))
    np.testing.assert_allclose(updates(sgd, np.ones(3), gradients, rates), expected, rtol=1e-5)


def test_nesterov_takes_the_gradient_one_step_ahead():
    """Nesterov's method evaluates the gradient at w + momentum * v: on E = w^2 / 2 that is known.

    Kept are the points at which gradients are taken, y = w + momentum * v (Sutskever et al. 2013).
    """
    momentum, rate = 0.9, 0.1
    sgd = optimizers.build(spec.SGD(rate, momentum=momentum, nesterov=True))
    weight = keras.Variable([1.0])
    sgd.build([weight])
    sgd.learning_rate.assign(rate)
    w, v = 1.0, 0.0
    for _ in range(5):
        sgd.apply([keras.ops.convert_to_tensor(weight)], [weight])
        v = momentum * v - rate * (w + momentum * v)  # gradient at the point ahead
        w = w + v
        np.testing.assert_allclose(weight.numpy(), [w + momentum * v], rtol=1e-5)


def test_averages_of_the_weights_are_plain_means_at_first():
    description = spec.SGD(0.1, momentum=0.5, averaging=0.75)
    sgd = optimizers.build(description)
    gradients = RNG.normal(size=(5, 3))
    weights = updates(sgd, np.ones(3), gradients, [0.1] * 5)
    without = optimizers.build(spec.SGD(0.1, momentum=0.5))
    np.testing.assert_array_equal(weights, updates(without, np.ones(3), gradients, [0.1] * 5))
    average = weights[:4].mean(axis=0)  # after four updates a quarter of it is the last one
    average = 0.75 * average + 0.25 * weights[4]
    np.testing.assert_allclose(sgd.averages[0].numpy(), average, rtol=1e-6)
    assert without.averages == []


def test_groups_of_variables_have_their_own_rate_and_decay():
    groups = (
        spec.ParameterGroup("*/bias", rate=2.0),
        spec.ParameterGroup("conv1/*", weight_decay=0.0),
        spec.ParameterGroup("fc/kernel", rate=0.5, weight_decay=1.0),
    )
    sgd = optimizers.build(spec.SGD(0.1, weight_decay=0.5, decayed="kernels", groups=groups))
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(1, 3, name="conv1"),
            keras.layers.Conv2D(1, 2, name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, name="fc"),
        ],
        name="sequential",
    )
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(keras.ops.full_like(variable, 3.0))
    sgd.build(variables)
    sgd.learning_rate.assign(0.1)
    sgd.apply([keras.ops.ones_like(v) for v in variables], variables)
    found = {v.path.removeprefix("sequential/"): float(v.numpy().ravel()[0]) for v in variables}
    # 3 - rate * factor * (1 + decay * 3)
    expected = {
        "conv1/kernel": 3 - 0.1 * 1,
        "conv1/bias": 3 - 0.1 * 2 * 1,
        "conv2/kernel": 3 - 0.1 * (1 + 0.5 * 3),
        "conv2/bias": 3 - 0.1 * 2 * 1,
        "fc/kernel": 3 - 0.1 * 0.5 * (1 + 1.0 * 3),
        "fc/bias": 3 - 0.1 * 2 * 1,
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_each_weight_has_its_own_rate_eta_over_mu_plus_curvature():
    method = optimizers.build(spec.StochasticDiagonalLM(spec.Steps(((1, 1.0),)), 0.02, 500))
    first, second = keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])
    method.build([first, second])
    h = [keras.ops.convert_to_tensor([0.0, 0.48]), keras.ops.convert_to_tensor([[1.98]])]
    assert method.set_rates(0.0005, h) == pytest.approx((0.0005 / 2.0, 0.0005 / 0.02))
    for _ in range(2):  # the rates hold, and there is no momentum
        gradients = [keras.ops.convert_to_tensor(g) for g in ([10.0, 10.0], [[-4.0]])]
        method.apply(gradients, [first, second])
    expected = [1.0 - 2 * 10 * 0.0005 / 0.02, 2.0 - 2 * 10 * 0.0005 / 0.5]
    np.testing.assert_allclose(first.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(second.numpy(), [[3.0 + 2 * 4 * 0.0005 / 2.0]], rtol=1e-6)


# ---------------------------------------------------------------- curvatures


class Unrolled:
    """One layer as a list of connections: unit <- sum of weight * source, weights shared.

    connections: (unit, source, weight); source None is the constant 1 of a bias. A weight is an
    index into the flat weights of the layer.
    """

    def __init__(self, units, weights, connections):
        self.units, self.weights, self.connections = units, weights, connections

    def forward(self, x):
        self.x, a = x, np.zeros(self.units)
        for unit, source, weight in self.connections:
            a[unit] += self.weights[weight] * (1.0 if source is None else x[source])
        return a

    def backward(self, d2):
        """d2E/dx_j2 = sum_i u_ij^2 d2E/da_i2; h_k = sum over what shares u_k of d2E/da_i2 x_j^2."""
        into, h = np.zeros(len(self.x)), np.zeros(len(self.weights))
        for unit, source, weight in self.connections:
            h[weight] += d2[unit] * (1.0 if source is None else self.x[source] ** 2)
            if source is not None:
                into[source] += self.weights[weight] ** 2 * d2[unit]
        return into, h


class Squash:
    def forward(self, a):
        self.slope = 1.7159 * 2 / 3 / np.cosh(2 / 3 * a) ** 2
        return 1.7159 * np.tanh(2 / 3 * a)

    def backward(self, d2):
        return self.slope**2 * d2, np.zeros(0)


class SumsOfFour:
    """What a subsampling unit sees: the sum of its field. Its coefficient is a weight on that."""

    def __init__(self, shape):
        self.shape = shape

    def unit(self, r, c, m):
        height, width, maps = self.shape
        return np.ravel_multi_index((r // 2, c // 2, m), (height // 2, width // 2, maps))

    def forward(self, x):
        sums = np.zeros(len(x) // 4)
        for j, place in enumerate(np.ndindex(*self.shape)):
            sums[self.unit(*place)] += x[j]
        return sums

    def backward(self, d2):
        return np.array([d2[self.unit(*place)] for place in np.ndindex(*self.shape)]), np.zeros(0)


def convolution_connections(shape, k, maps_out, weight, bias, sees=lambda m, i: True):
    out = (shape[0] - k + 1, shape[1] - k + 1, maps_out)
    connections = []
    for unit, (row, column, m) in enumerate(np.ndindex(*out)):
        connections.append((unit, None, bias(m)))
        for r, c, i in np.ndindex(k, k, shape[2]):
            if sees(m, i):
                source = np.ravel_multi_index((row + r, column + c, i), shape)
                connections.append((unit, source, weight(r, c, i, m)))
    return int(np.prod(out)), connections


TABLE = ((0,), (0, 1), (1,))
CODES = np.array([[1, -1, 1, 1], [-1, -1, 1, -1], [1, 1, -1, 1]], "float32")


def small_network():
    """Every kind of layer of LeNet-5, once."""
    return keras.Sequential([
        keras.Input((8, 8, 1)),
        lecun1998.OneExampleConv2D(2, 3, kernel_initializer=ANY, bias_initializer=ANY),
        lecun1998.ScaledTanh(),
        lecun1998.Subsampling(ANY, ANY),
        lecun1998.ScaledTanh(),
        lecun1998.PartialConv2D(TABLE, 2, ANY, ANY),
        lecun1998.ScaledTanh(),
        keras.layers.Flatten(),
        keras.layers.Dense(4, kernel_initializer=ANY, bias_initializer=ANY),
        lecun1998.ScaledTanh(),
        lecun1998.EuclideanRBF(CODES, 0.3),
    ])  # fmt: skip


def unrolled(weights):
    """The same network, up to its penalties, as connections; `weights` in Keras' order."""
    flat = [np.asarray(w, "float64").ravel() for w in weights]
    pairs = [(m, i) for m, row in enumerate(TABLE) for i in row]
    first = convolution_connections(
        *((8, 8, 1), 3, 2), lambda r, c, i, m: (3 * r + c) * 2 + m, lambda m: 18 + m
    )
    partial = convolution_connections(
        *((3, 3, 2), 2, 3),
        lambda r, c, i, m: (2 * r + c) * 4 + pairs.index((m, i)),
        *(lambda m: 16 + m, lambda m, i: i in TABLE[m]),
    )
    subsampling = [(u, u, u % 2) for u in range(18)] + [(u, None, 2 + u % 2) for u in range(18)]
    dense = [(u, j, 4 * j + u) for j in range(12) for u in range(4)]
    dense += [(u, None, 48 + u) for u in range(4)]
    return [
        Unrolled(first[0], np.concatenate(flat[0:2]), first[1]), Squash(),
        SumsOfFour((6, 6, 2)), Unrolled(18, np.concatenate(flat[2:4]), subsampling), Squash(),
        Unrolled(partial[0], np.concatenate(flat[4:6]), partial[1]), Squash(),
        Unrolled(4, np.concatenate(flat[6:8]), dense), Squash(),
    ]  # fmt: skip


def map_loss(y, label, j):
    return y[label] + np.log(np.exp(-j) + np.exp(-y).sum())


def test_curvatures_are_those_of_appendix_c_connection_by_connection():
    model, j = small_network(), 1.5
    images = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
    labels = np.array([0, 2, 1], "int32")
    parts = unrolled(model.get_weights())
    expected = np.zeros(sum(w.size for w in model.get_weights()))
    for image, label in zip(images.astype("float64"), labels, strict=True):
        x = image.ravel()
        for part in parts:
            x = part.forward(x)
        y = 0.3 * ((x - CODES) ** 2).sum(axis=1)
        np.testing.assert_allclose(model(image[None])[0], y, rtol=1e-4)
        # d2E/dx2 of the last layer: the Gauss-Newton part of each penalty, and the bend of the
        # parabolas, which the penalties' first derivatives weigh; both by finite differences.
        h, d1, d2 = 1e-4, np.zeros(3), np.zeros(3)
        for i, step in enumerate(h * np.eye(3)):
            at = [map_loss(y + s * step, label, j) for s in (-1, 0, 1)]
            d1[i], d2[i] = (at[2] - at[0]) / (2 * h), (at[2] - 2 * at[1] + at[0]) / h**2
        back = (d2[:, None] * (0.6 * (x - CODES)) ** 2 + d1[:, None] * 0.6).sum(axis=0)
        found = []
        for part in parts[::-1]:
            back, by_weights = part.backward(back)
            found.insert(0, by_weights)
        expected += np.concatenate(found) / len(images)
    found = curvature.curvatures(model, losses.MAP(j), images, labels)
    assert [h.shape for h in found] == [w.shape for w in model.trainable_variables]
    found = np.concatenate([np.asarray(h).ravel() for h in found])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


def hessian_diagonal(mean_loss, weights, h=1e-3):
    """By finite differences, one array per weight."""
    found = [np.zeros(w.shape) for w in weights]
    for w, out in zip(weights, found, strict=True):
        for place in np.ndindex(*w.shape):
            at = []
            for s in (-1, 0, 1):
                before = w[place]
                w[place] += s * h
                at.append(mean_loss(*weights))
                w[place] = before
            out[place] = (at[2] - 2 * at[1] + at[0]) / h**2
    return found


@pytest.mark.parametrize("loss", [losses.SquaredError(), losses.RightPenalty()], ids=str)
def test_curvatures_of_a_single_layer_are_the_exact_hessian_diagonal(loss):
    """Nothing is dropped where each weight has one connection and the loss no cross terms."""
    images = RNG.normal(size=(6, 2, 2, 2)).astype("float32")
    labels = RNG.integers(0, 3, 6).astype("int32")
    head = [lecun1998.EuclideanRBF(CODES[:, :3], 0.7)] if loss == losses.RightPenalty() else []
    conv = lecun1998.OneExampleConv2D(3, 2, kernel_initializer=ANY, bias_initializer=ANY)
    model = keras.Sequential([keras.Input((2, 2, 2)), conv, keras.layers.Flatten(), *head])

    def mean_loss(kernel, bias):
        out = images.reshape(6, -1).astype("float64") @ kernel.reshape(8, 3) + bias
        if head:
            return np.mean(0.7 * np.sum((out - CODES[labels, :3]) ** 2, axis=1))
        return np.mean(
            0.5 * np.sum((out - np.where(np.eye(3)[labels] > 0, 1.0, -1.0)) ** 2, axis=1)
        )

    weights = [w.astype("float64") for w in model.get_weights()]
    for found, exact in zip(
        curvature.curvatures(model, loss, images, labels),
        hessian_diagonal(mean_loss, weights),
        strict=True,
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-4)


def test_a_layer_without_a_rule_is_refused():
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.MaxPooling2D(), keras.layers.Flatten()]
    )
    with pytest.raises(TypeError, match="MaxPooling2D"):
        curvature.curvatures(model, losses.SquaredError(), np.zeros((1, 4, 4, 1), "float32"), [0])


CURVED = {
    e.network.name: e
    for e in catalog.experiments()
    if isinstance(e.recipe.optimizer, spec.StochasticDiagonalLM)
}


@pytest.mark.parametrize("name", CURVED)
def test_every_network_trained_so_has_a_positive_rate_for_every_weight(name):
    experiment = CURVED[name]
    model = experiment.network.build(**experiment.network.options)
    images = RNG.normal(size=(2, *model.input_shape[1:])).astype("float32")
    found = curvature.curvatures(model, experiment.recipe.loss, images, np.array([3, 7], "int32"))
    assert [tuple(h.shape) for h in found] == [tuple(w.shape) for w in model.trainable_variables]
    for h in found:
        h = np.asarray(h)
        assert np.all(np.isfinite(h)) and np.all(h >= 0) and h.max() > 0


def test_a_decay_that_no_weight_would_take_is_refused():
    groups = (spec.ParameterGroup("*/bias"), spec.ParameterGroup("*/kernel", weight_decay=0.1))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="fc")])
    variables = model.trainable_variables
    rate = 0.1
    optimizers.build(spec.SGD(rate, groups=groups)).build(variables)
    optimizers.build(spec.SGD(rate, groups=groups[:1], weight_decay=0.5)).build(variables)
    with pytest.raises(UsageError, match="the recipe's groups cover every weight"):
        optimizers.build(spec.SGD(rate, groups=groups, weight_decay=0.5)).build(variables)
