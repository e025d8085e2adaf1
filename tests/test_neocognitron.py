"""The neocognitron against slow loops, cell by cell; its digits; and what its runs keep."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from graphs import counted, layers_of, model_of

from repro import backends, catalog, spec
from repro.data import datasets
from repro.errors import UsageError
from repro.networks import anatomy, fukushima1980, losses, optimizers
from repro.records.journal import Journal
from repro.training import deconvolution, runner

EXPERIMENT = catalog.experiment("neocognitron-digits")


@pytest.fixture
def rng():
    return np.random.default_rng(1980)


# ---------------------------------------------------------------- the structure, section 5

# Cells (PAPERS.md, section 11); what an S- or C-cell takes from the layer before, its V-cell not
# counted; V-cells, and what each of those takes.
LAYERS = {
    "US1": (6_144, 5 * 5, 16 * 16, 5 * 5),
    "UC1": (2_400, 5 * 5, 10 * 10, 5 * 5 * 24),
    "US2": (1_536, 5 * 5 * 24, 8 * 8, 5 * 5 * 24),
    "UC2": (864, 5 * 5, 6 * 6, 5 * 5 * 24),
    "US3": (96, 5 * 5 * 24, 2 * 2, 5 * 5 * 24),
    "UC3": (24, 2 * 2, 1, 2 * 2 * 24),
}
WEIGHTS = {"US1": 5 * 5 * 24 + 24, "US2": 5 * 5 * 24 * 24 + 24, "US3": 5 * 5 * 24 * 24 + 24}


@pytest.mark.parametrize("name", LAYERS)
def test_cells_connections_and_weights(name):
    cells, inputs, v_cells, v_inputs = LAYERS[name]
    layer = layers_of("neocognitron")[name]
    assert math.prod(layer["output_shape"]) == cells
    assert layer["connections"] == cells * (inputs + 1) + v_cells * v_inputs
    assert layer["parameters"] == WEIGHTS.get(name, 0)


def test_the_whole_network():
    assert math.prod(model_of("neocognitron").input_shape[1:]) == 256
    in_order = [layer["name"] for layer in counted("neocognitron")["layers"]]
    assert in_order == [*LAYERS, "flatten", "winners"]
    # By hand: 166,144 + 122,400 + 961,536 + 44,064 + 60,096 + 216.
    assert counted("neocognitron")["connections"] == 1_354_456


def test_the_last_cells_see_the_whole_field():
    assert layers_of("neocognitron")["UC3"]["receptive_field"] >= 16


def test_which_pixels_a_cell_sees():
    """By hand: silent cells before the first, 2, 3, 1, 4, 0 and 0, times the jump until then."""
    model = model_of("neocognitron")
    seen_by = anatomy.fields(model)
    starts = [seen_by[name][0].start for name in LAYERS]
    assert starts == [-2, -2 - 3, -5 - 2 * 1, -7 - 2 * 4, -15, -15]
    # A pixel alone excites only cells that see it, and some at the ends of what they see.
    impulses = np.eye(256, dtype="float32").reshape(256, 16, 16, 1)
    answers = backends.as_numpy(deconvolution.up_to(model, "UC1")(impulses)).max(axis=-1)
    answers = answers.reshape(16, 16, 10, 10) > 0
    for row, column in np.ndindex(10, 10):
        rows, columns = np.nonzero(answers[..., row, column])
        for pixels, axis, unit in zip((rows, columns), seen_by["UC1"], (row, column), strict=True):
            first, last = axis.seen(unit)
            assert (pixels.min(), pixels.max()) == (max(first, 0), min(last, 16) - 1)


# ---------------------------------------------------------------- cells, one by one

SIDE, PAD, R, BASE = 3, (1, 2), 1.7, 0.8


def at(u, y, x, k):
    """The output of a cell of [height, width, planes], 0 outside of the layer."""
    inside = 0 <= y < u.shape[0] and 0 <= x < u.shape[1]
    return u[y, x, k] if inside else 0.0


def distances():
    """(row, column, base^distance) of each place of a window of 3x3."""
    return [(i, j, BASE ** math.dist((i, j), (1, 1))) for i in range(SIDE) for j in range(SIDE)]


def c_of(planes):
    """c of each place: base^distance, so that the sum over places and planes is 1."""
    whole = planes * sum(near for _, _, near in distances())
    return {(i, j): near / whole for i, j, near in distances()}


def slow_v(u, y, x):
    planes, c = u.shape[2], c_of(u.shape[2])
    squares = 0.0
    for (i, j), weight in c.items():
        for k in range(planes):
            squares += weight * at(u, y + i - PAD[0], x + j - PAD[0], k) ** 2
    return math.sqrt(squares)


def slow_s(u, a, b):
    rows, columns = (n + sum(PAD) - SIDE + 1 for n in u.shape[:2])
    s = np.zeros((rows, columns, len(b)))
    for y in range(rows):
        for x in range(columns):
            for k in range(len(b)):
                excitation = 0.0
                for i in range(SIDE):
                    for j in range(SIDE):
                        for before in range(u.shape[2]):
                            place = at(u, y + i - PAD[0], x + j - PAD[0], before)
                            excitation += a[i, j, before, k] * place
                inhibition = 2 * R / (1 + R) * b[k] * slow_v(u, y, x)
                s[y, x, k] = R * max(0.0, (1 + excitation) / (1 + inhibition) - 1)
    return s


def slow_c(s, alpha, stride):
    rows, columns = ((n + sum(PAD) - SIDE) // stride + 1 for n in s.shape[:2])
    planes = s.shape[2]
    u = np.zeros((rows, columns, planes))
    for y in range(rows):
        for x in range(columns):
            sums = [
                sum(
                    d * at(s, stride * y + i - PAD[0], stride * x + j - PAD[0], k)
                    for i, j, d in distances()
                )
                for k in range(planes)
            ]
            for k in range(planes):
                excess = (1 + sums[k]) / (1 + sum(sums) / planes) - 1
                u[y, x, k] = max(0.0, excess / (alpha + excess)) if excess > 0 else 0.0
    return u


def slow_representatives(s, column):
    """{plane: (row, column)}: of the best cells of all S-columns, the best of each plane."""
    rows, columns, planes = s.shape
    best = {}
    for top in range(rows - column + 1):
        for left in range(columns - column + 1):
            candidate, largest = None, 0.0
            for y in range(top, top + column):
                for x in range(left, left + column):
                    for k in range(planes):
                        if s[y, x, k] > largest * (1 + 1e-4):
                            candidate, largest = (y, x, k), s[y, x, k]
            if candidate:
                y, x, k = candidate
                if k not in best or (-s[y, x, k], y, x) < (-s[best[k]][k], *best[k]):
                    best[k] = (y, x)
    return best


def s_layer(rng, inputs=2, planes=4):
    layer = fukushima1980.SCells(planes, SIDE, PAD, R, BASE, start=0.01)
    layer.build((None, None, None, inputs))
    a = rng.uniform(0, 1, (SIDE, SIDE, inputs, planes))
    b = rng.uniform(2, 4, planes)
    layer.set_weights([a, b])
    return layer, a, b


def as_numpy(x):
    return backends.as_numpy(x)


def test_an_s_cell_is_excited_and_inhibited_as_in_equations_1_to_3(rng):
    layer, a, b = s_layer(rng)
    u = rng.uniform(0, 1, (2, 5, 4, 2)) * (rng.uniform(size=(2, 5, 4, 2)) < 0.6)
    fast, slow = as_numpy(layer(u.astype("float32"))), [slow_s(x, a, b) for x in u]
    assert fast.shape[1:] == layer.compute_output_shape(u.shape)[1:]
    assert 0 < np.mean(np.array(slow) > 0) < 1  # some are silent, some are not
    np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_c_cell_pools_and_saturates_as_in_equations_4_to_6(rng, stride):
    layer = fukushima1980.CCells(SIDE, stride, PAD, alpha=0.5, base=BASE)
    s = rng.uniform(0, 1, (2, 6, 5, 3)) * (rng.uniform(size=(2, 6, 5, 3)) < 0.3)
    fast, slow = as_numpy(layer(s.astype("float32"))), [slow_c(x, 0.5, stride) for x in s]
    assert fast.shape[1:] == layer.compute_output_shape(s.shape)[1:]
    assert 0 < np.mean(np.array(slow) > 0) < 1
    np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("column", [1, 2, 3, 5])
def test_representatives_and_what_they_add_as_in_equations_7_and_8(rng, column):
    layer, _, _ = s_layer(rng, planes=6)
    u = rng.uniform(0, 1, (7, 6, 2))
    s = rng.uniform(0, 1, (8, 7, 6)) * (rng.uniform(size=(8, 7, 6)) < 0.5)
    s[..., 2] *= 0.01  # a plane that is silent beside the others, and one that is silent
    s[..., 4] = 0
    best, q = slow_representatives(s, column), 3.0
    assert (2 in best) == (column == 1) and 4 not in best and len(best) >= 2
    a, b = np.zeros((SIDE, SIDE, 2, 6)), np.zeros(6)
    for k, (y, x) in best.items():
        for (i, j), c in c_of(2).items():
            for before in range(2):
                a[i, j, before, k] = q * c * at(u, y + i - PAD[0], x + j - PAD[0], before)
        b[k] = q / 2 * slow_v(u, y, x)
    one = [x[None].astype("float32") for x in (u, s)]
    fast = layer.reinforcements(*one, speed=q, column=column)
    for added, slow in zip(fast, (a, b), strict=True):
        np.testing.assert_allclose(as_numpy(added), slow, rtol=1e-4, atol=1e-6)


def test_of_equal_cells_the_first_represents_whatever_rounding_does():
    s = np.zeros((1, 4, 4, 2), "float32")
    s[0, 1, 2, 1], s[0, 3, 0, 1] = 0.5, 0.5 * (1 + 3e-7)
    there = as_numpy(fukushima1980.representatives(s, 2))
    assert np.argwhere(there).tolist() == [[0, 1 * 4 + 2, 1]]


def test_several_patterns_add_what_each_adds_alone(rng):
    layer, _, _ = s_layer(rng)
    u = rng.uniform(0, 1, (3, 5, 5, 2)).astype("float32")
    together = layer.reinforcements(u, layer(u), speed=1.0, column=3)
    alone = [layer.reinforcements(x, layer(x), 1.0, 3) for x in (u[i : i + 1] for i in range(3))]
    for all_of_them, each in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(
            as_numpy(all_of_them), sum(map(as_numpy, each)), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("r", [1.5, 4.0])
def test_a_cell_that_has_learnt_one_pattern_answers_1_to_it_and_not_below_a_likeness(r):
    """With much learnt, S = (1 + r) cos - r, cos being the likeness to what was learnt."""
    layer = fukushima1980.SCells(1, 3, (0, 0), r, base=1.0, start=1e-6)
    layer.build((None, 3, 3, 1))
    learnt = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], "float32").reshape(1, 3, 3, 1)
    a, b = layer.reinforcements(learnt, np.ones((1, 1, 1, 1), "float32"), 1e6, 1)
    layer.set_weights([as_numpy(a), as_numpy(b)])
    for pattern, cos in [
        ([1, 1, 1, 1, 0, 0, 0, 0, 0], 1.0),
        ([2, 2, 2, 2, 0, 0, 0, 0, 0], 1.0),  # twice as strong, as like
        ([1, 1, 1, 1, 1, 0, 0, 0, 0], 4 / math.sqrt(4 * 5)),
        ([1, 1, 0, 0, 0, 0, 0, 0, 0], 2 / math.sqrt(4 * 2)),
        ([1, 1, 0, 0, 1, 1, 0, 0, 0], 2 / math.sqrt(4 * 4)),
    ]:
        u = np.array(pattern, "float32").reshape(1, 3, 3, 1)
        expected = max(0.0, (1 + r) * cos - r)
        assert float(as_numpy(layer(u)).item()) == pytest.approx(expected, abs=1e-3)


def test_first_weights_are_small_positive_and_favour_an_orientation_weakly():
    """No randomness, by v, k/K and |k'/K' - k/K| (section 3)."""
    a = fukushima1980.first_impressions(5, 1, 24)[:, :, 0]
    across, down = a[2, 0] + a[2, 4], a[0, 2] + a[4, 2]
    assert np.argmax(across) == 0 and np.argmax(down) == 12  # of 24: an angle of 90 degrees
    assert a.min() > 0 and a.max() == 1 and a.max() / a.min() <= 2
    deep = fukushima1980.first_impressions(5, 24, 24)
    assert deep.min() > 0
    assert np.all(np.argmax(deep, axis=2) == np.arange(24))
    built = catalog.network("neocognitron").build(**EXPERIMENT.network.options)
    weights = {w.path.split("/", 1)[-1]: as_numpy(w) for w in built.trainable_variables}
    assert all(np.all(w == 0) for name, w in weights.items() if name.endswith("inhibitory"))
    assert max(w.max() for w in weights.values()) == pytest.approx(0.001)


# ---------------------------------------------------------------- winners


def naming(last_cells, labels, classes=3):
    layer = fukushima1980.Naming(classes)
    layer.build((None, len(last_cells[0])))
    layer.take_note(np.asarray(last_cells, "float32"), np.asarray(labels))
    return layer


def taken_for(layer, last_cells):
    outputs = layer(np.asarray(last_cells, "float32"))
    return as_numpy(losses.NotTheWinner().predict(outputs)).tolist()


def test_a_pattern_is_taken_for_the_class_whose_winner_responds_most():
    layer = naming([[0, 9, 0, 0], [0, 0, 0, 2], [1, 0, 0, 0]], [0, 1, 2])
    assert as_numpy(layer.winners).tolist() == [1, 3, 0]
    # By cells 3, 1, 0; by cell 2, which is nobody's; by none.
    patterns = [[0, 1, 0, 2], [0.1, 0.2, 0, 0], [3, 0, 1, 0], [0.1, 0.2, 0.3, 0.1], [0, 0, 0, 0]]
    assert taken_for(layer, patterns) == [1, 0, 2, 3, 3]


def test_a_shared_winner_is_the_first_class_and_a_silent_example_has_none():
    layer = naming([[0, 9, 0, 0], [0, 5, 1, 0], [0, 0, 0, 0]], [0, 1, 2])
    assert as_numpy(layer.winners).tolist() == [1, 1, -1]
    assert taken_for(layer, [[0, 5, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]) == [0, 3, 3]


def test_the_loss_counts_what_is_not_taken_for_its_class():
    outputs = np.array([[1, 0, 0.5], [0, 0, 0], [0.2, 0.4, 0.1], [0.1, 0.2, 0.3]], "float32")
    lost = losses.NotTheWinner()(outputs, keras.ops.convert_to_tensor([0, 0, 0, 1], "int32"))
    assert as_numpy(lost).tolist() == [0, 1, 1, 1]


def test_the_rule_adds_to_all_layers_what_they_saw_before(rng):
    """One update of a chain of two S-layers, by the layers' own account."""
    chain = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            fukushima1980.SCells(3, SIDE, (1, 1), R, BASE, 0.01),
            fukushima1980.CCells(SIDE, 1, (1, 1), 0.5, BASE),
            fukushima1980.SCells(2, 6, (0, 0), R, BASE, 0.01),
            keras.layers.Flatten(),
            fukushima1980.Naming(2),
        ]
    )
    image = (rng.uniform(size=(1, 6, 6, 1)) < 0.4).astype("float32")
    first, pooled, second = chain.layers[:3]
    s = first(image)
    u = pooled(s)
    added = first.reinforcements(image, s, 1.0, 3) + second.reinforcements(u, second(u), 8.0, 1)
    before = [as_numpy(w).copy() for w in chain.trainable_variables]
    expected = [w + as_numpy(more) for w, more in zip(before, added, strict=True)]
    rule = optimizers.build(spec.WinnerTakeAll(speeds=(1.0, 8.0), columns=(3, 1)))
    rule.build(chain.trainable_variables)
    outputs, steps = rule.steps(chain, image)
    rule.apply(steps, chain.trainable_variables)
    assert tuple(outputs.shape) == (1, 3)
    for weight, start, end in zip(chain.trainable_variables, before, expected, strict=True):
        assert np.any(start != end)
        np.testing.assert_allclose(as_numpy(weight), end, rtol=1e-6)


# ---------------------------------------------------------------- the digits


def field(split):
    data = datasets.load("strokes", split)
    return data.images[..., 0] > 0, data.labels


def test_a_digit_is_shifted_to_every_place_within_three_pixels():
    train, digits = field("train")
    shifted, labels = field("test[:245]")
    assert digits.tolist() == [0, 1, 2, 3, 4] and np.bincount(labels).tolist() == [49] * 5
    every = range(-3, 4)
    for digit in digits:
        moved = {np.roll(train[digit], (y, x), (0, 1)).tobytes() for y in every for x in every}
        assert len(moved) == 49
        assert {image.tobytes() for image in shifted[labels == digit]} == moved
        assert all(image.sum() == train[digit].sum() for image in shifted[labels == digit])


def test_training_shifts_as_far_and_mirrors_nothing():
    augmentation = EXPERIMENT.recipe.augmentation
    assert (augmentation.pad, augmentation.flip, augmentation.outside) == (3, False, 0)


def test_distorted_digits_are_about_as_large_and_hardly_ever_only_shifted():
    train, _ = field("train")
    distorted, labels = field("test[-245:]")
    assert np.bincount(labels).tolist() == [49] * 5

    def cut_out(image):
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    alike = 0
    for image, label in zip(distorted, labels, strict=True):
        cut, whole = cut_out(image), cut_out(train[label])
        assert all(abs(a - b) <= 3 for a, b in zip(cut.shape, whole.shape, strict=True))
        alike += np.array_equal(cut, whole)
    assert alike <= 12  # of 245: such are ones and fours


# ---------------------------------------------------------------- runs


def test_five_digits_are_shown_twenty_times_each():
    recipe = EXPERIMENT.recipe
    assert datasets.count("strokes", "train") * recipe.passes == 5 * 20 and recipe.batch == 1


def test_it_learns_in_float32_alone():
    with pytest.raises(UsageError, match="neocognitron-digits needs float32"):
        runner.run(EXPERIMENT, precision="mixed_bfloat16")


RUN = """
import json, sys
from repro import catalog
from repro.training import deconvolution, runner
done = runner.run(catalog.experiment("neocognitron-digits"), scale="smoke", out=sys.argv[1])
print(json.dumps(done["metrics"]["single-view"]))
"""


@pytest.mark.slow
def test_every_backend_learns_the_same(tmp_path):
    found = {}
    for name in filter(backends.installed, backends.NAMES):
        done = subprocess.run(
            [sys.executable, "-c", RUN, tmp_path / name],
            env={**os.environ, "KERAS_BACKEND": name},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found[name] = json.loads(done.stdout.splitlines()[-1])
    first = next(iter(found.values()))
    assert first["test_count"] == 490
    assert all(metrics == first for metrics in found.values()), found


@pytest.mark.slow
def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path):
    from small_runs import last_state, stopping_at, timeless

    from repro.errors import Interrupted

    whole = runner.run(EXPERIMENT, scale="smoke", out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        runner.run(
            EXPERIMENT, scale="smoke", out=tmp_path / "part", observers=[stopping_at(20, "pass")]
        )
    (part,) = (tmp_path / "part").glob("*/*/run.json")
    runner.resume(part.parent)
    journals = [Journal.open(whole["run_dir"]), Journal.open(part.parent)]
    assert journals[1].result()["resumed"] == 1
    assert timeless(journals[0]) == timeless(journals[1])
    for a, b in zip(*map(last_state, journals), strict=True):
        np.testing.assert_array_equal(a, b)
