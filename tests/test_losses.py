"""What is minimised: values by hand, derivatives by finite differences."""

import math

import numpy as np
import pytest

pytest.importorskip("keras")

from repro.networks import losses

RNG = np.random.default_rng(9)
WITH_CURVATURE = [
    losses.MAP(j=2.0),
    losses.MAP(j=0.1),
    losses.RightPenalty(),
    losses.SquaredError(),
]
AUXILIARY = losses.AuxiliaryCrossEntropy(weight=0.3, own="linear")
EVERY = [*WITH_CURVATURE, losses.SoftmaxCrossEntropy()]


def value(loss, outputs, labels):
    return np.asarray(loss(np.asarray(outputs), np.asarray(labels, "int32")))


def test_map_criterion_by_hand():
    """Equation 9: y_D + log(exp(-j) + sum_i exp(-y_i)), one value per example."""
    y = [[0.5, 1.5, 3.0], [4.0, 0.25, 2.0]]
    first = 0.5 + math.log(math.exp(-2) + math.exp(-0.5) + math.exp(-1.5) + math.exp(-3))
    second = 2.0 + math.log(math.exp(-2) + math.exp(-4) + math.exp(-0.25) + math.exp(-2))
    np.testing.assert_allclose(value(losses.MAP(j=2.0), y, [0, 2]), [first, second], rtol=1e-6)


def test_map_criterion_of_large_penalties_is_finite():
    """Where every penalty is far above j only the rubbish class is left: y_D - j."""
    y = np.array([[1e4, 2e4, 3e4]], "float32")
    np.testing.assert_allclose(value(losses.MAP(j=2.0), y, [1]), [2e4 - 2], rtol=1e-6)


def test_wrong_classes_with_penalties_far_above_j_are_left_alone():
    y = np.array([[0.1, 3.0, 40.0]])
    d1, _ = losses.MAP(j=2.0).curvature(y, np.array([0]))
    d1 = np.asarray(d1)[0]
    assert d1[1] < -1e-2  # pushed away
    assert abs(d1[2]) < 1e-12


def test_right_penalty_by_hand():
    y = [[0.5, 1.5, 3.0], [4.0, 0.25, 2.0]]
    np.testing.assert_allclose(value(losses.RightPenalty(), y, [1, 0]), [1.5, 4.0])


def test_squared_error_by_hand():
    """Half the squared distance to (-1, +1, -1) and to (+1, -1, -1)."""
    outputs = [[0.5, 0.0, -1.0], [1.0, -1.0, -1.0]]
    expected = [0.5 * (1.5**2 + 1.0**2 + 0.0), 0.0]
    np.testing.assert_allclose(value(losses.SquaredError(), outputs, [1, 0]), expected)


def test_cross_entropy_by_hand():
    logits = [[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]]
    normaliser = math.exp(1) + math.exp(2) + math.exp(-1)
    expected = [-math.log(math.exp(2) / normaliser), math.log(3)]
    found = value(losses.SoftmaxCrossEntropy(), np.array(logits, "float32"), [1, 2])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_the_class_is_the_smallest_penalty_or_the_largest_output(loss):
    outputs = np.array([[0.3, 0.1, 0.2], [-3.0, 5.0, 7.0]], "float32")
    penalties = isinstance(loss, losses.MAP | losses.RightPenalty)
    expected = [1, 0] if penalties else [0, 2]
    np.testing.assert_array_equal(loss.predict(outputs), expected)


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_a_confidently_right_output_costs_less_than_a_wrong_one(loss):
    outputs = np.full((2, 4), 9.0 if isinstance(loss, losses.MAP | losses.RightPenalty) else -1.0)
    outputs[:, 2] = 0.0 if outputs[0, 0] > 0 else 9.0
    right, wrong = value(loss, outputs.astype("float32"), [2, 0])
    assert np.asarray(loss.predict(outputs))[0] == 2
    assert wrong > right + 1


@pytest.mark.parametrize("loss", WITH_CURVATURE, ids=str)
def test_derivatives_by_the_outputs_are_those_of_the_loss(loss):
    outputs, labels = 2.0 + RNG.normal(size=(5, 4)), RNG.integers(0, 4, 5)
    d1, d2 = (np.asarray(d) for d in loss.curvature(outputs, labels))
    assert d1.dtype == d2.dtype == np.float64
    h = 1e-3
    for k in range(4):
        step = h * np.eye(4)[k]
        at = [value(loss, outputs + s * step, labels) for s in (-1, 0, 1)]
        np.testing.assert_allclose(d1[:, k], (at[2] - at[0]) / (2 * h), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            d2[:, k], (at[2] - 2 * at[1] + at[0]) / h**2, rtol=1e-4, atol=1e-6
        )


def test_auxiliary_heads_count_by_their_weight_and_predict_nothing():
    """Szegedy et al. 2014, section 5: the losses of the heads are added with a weight of 0.3."""
    logits = RNG.normal(size=(4, 3, 5))  # the network's own, and two heads
    labels = np.array([0, 4, 2, 2], "int32")
    right = np.take_along_axis(logits, labels[:, None, None], axis=2)[..., 0]
    own, first, second = (np.log(np.exp(logits).sum(axis=2)) - right).T
    expected = own + 0.3 * (first + second)
    np.testing.assert_allclose(value(AUXILIARY, logits, labels), expected, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(AUXILIARY.predict(logits)), logits[:, 0].argmax(-1))
