"""VGG (Simonyan and Zisserman 2014): what the paper says of its networks."""

import types

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import outputs_of, with_random_biases
from graphs import counted, model_of, unweighted

from papers import vgg
from repro.errors import UsageError
from repro.training import carrying

NETWORKS = {n.name: n for n in vgg.NETWORKS}


def image(height, width, seed=5):
    return np.random.default_rng(seed).normal(size=(1, height, width, 3)).astype("float32")


@pytest.fixture(scope="module")
def a():
    """Network A with weights that let an image through without growing or vanishing."""
    keras.utils.set_random_seed(1)
    return with_random_biases(vgg.vgg("A"))


# ---------------------------------------------------------------- counted


# Without the full layers: parameters, multiply-adds.
CONVOLUTIONS = {
    "vgg-a": (9_220_480, 7_485_456_384),
    "vgg-a-lrn": (9_220_480, 7_485_456_384),
    "vgg-b": (9_404_992, 11_184_832_512),
    "vgg-c": (9_996_096, 11_647_254_528),
    "vgg-d": (14_714_688, 15_346_630_656),
    "vgg-e": (20_024_384, 19_508_428_800),
    "vgg-b-shallow": (10_860_672, 9_232_384_000),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_multiply_adds_of_the_convolutions(name):
    rows = [r for r in counted(name)["layers"] if r["kind"] == "Conv2D"]
    sums = tuple(sum(r[k] for r in rows) for k in ("parameters", "multiply_adds"))
    assert sums == CONVOLUTIONS[name]


def test_the_full_layers_are_the_same_in_every_network():
    for name in NETWORKS:
        rows = [r for r in counted(name)["layers"] if r["kind"] == "Dense"]
        assert {r["name"]: r["parameters"] for r in rows} == {
            "fc6": 102_764_544,
            "fc7": 16_781_312,
            "fc8": 4_097_000,
        }


# Table 1: layers with weights; kernels from top to bottom, as side-maps.
TABLE_1 = {
    "vgg-a": (11, "3-64 | 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512"),
    "vgg-a-lrn": (11, "3-64 | 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512"),
    "vgg-b": (
        13,
        "3-64 3-64 | 3-128 3-128 | 3-256 3-256 | 3-512 3-512 | 3-512 3-512",
    ),
    "vgg-c": (
        16,
        "3-64 3-64 | 3-128 3-128 | 3-256 3-256 1-256 | 3-512 3-512 1-512 | 3-512 3-512 1-512",
    ),
    "vgg-d": (
        16,
        "3-64 3-64 | 3-128 3-128 | 3-256 3-256 3-256 | 3-512 3-512 3-512 | 3-512 3-512 3-512",
    ),
    "vgg-e": (
        19,
        "3-64 3-64 | 3-128 3-128 | 3-256 3-256 3-256 3-256 | 3-512 3-512 3-512 3-512 | "
        "3-512 3-512 3-512 3-512",
    ),
    "vgg-b-shallow": (8, "5-64 | 5-128 | 5-256 | 5-512 | 5-512"),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_the_columns_of_table_1(name):
    depth, column = TABLE_1[name]
    stages, found = [[]], model_of(name).layers
    for layer in found:
        if isinstance(layer, keras.layers.Conv2D):
            assert (layer.padding, layer.strides) == ("same", (1, 1))
            assert layer.activation is keras.activations.relu and layer.use_bias
            stages[-1].append(f"{layer.kernel_size[0]}-{layer.filters}")
        elif isinstance(layer, keras.layers.MaxPooling2D):
            assert (layer.pool_size, layer.strides) == ((2, 2), (2, 2))
            stages.append([])
    assert stages.pop() == []
    assert " | ".join(" ".join(stage) for stage in stages) == column
    full = [m for m in found if isinstance(m, keras.layers.Dense)]
    assert [m.units for m in full] == [4096, 4096, 1000]
    assert [m.activation for m in full] == [
        *[keras.activations.relu] * 2,
        keras.activations.linear,
    ]
    assert len(full) + len(" ".join(column.split(" | ")).split()) == depth


@pytest.mark.parametrize("name", NETWORKS)
def test_output_shapes(name):
    found = {r["name"]: r["output_shape"] for r in counted(name)["layers"]}
    sides = {1: (224, 64), 2: (112, 128), 3: (56, 256), 4: (28, 512), 5: (14, 512)}
    for stage, (side, maps) in sides.items():
        convolutions = [n for n in found if n.startswith(f"conv{stage}_")]
        assert convolutions and all(found[n] == [side, side, maps] for n in convolutions)
        assert found[f"pool{stage}"] == [side // 2, side // 2, maps]
    assert [found[n] for n in ("flatten", "fc6", "fc7", "fc8")] == [[25088], [4096], [4096], [1000]]


def test_two_3x3_see_what_one_5x5_sees():
    """Section 2.3; so the shallow network sees at each pooling what B sees."""

    def seen(name):
        rows = counted(name)["layers"]
        return [r["receptive_field"] for r in rows if r["name"].startswith("pool")]

    assert seen("vgg-b-shallow") == seen("vgg-b")
    assert seen("vgg-b")[:2] == [6, 16]  # 1+2+2+1, then 2(2+2)+2 more


def test_only_a_lrn_is_normalised_and_where():
    for name in NETWORKS:
        kinds = [type(layer).__name__ for layer in model_of(name).layers]
        assert kinds.count("LocalResponseNormalization") == (name == "vgg-a-lrn"), name
    names = [layer.name for layer in model_of("vgg-a-lrn").layers]
    assert names[1:4] == ["conv1_1", "lrn1", "pool1"]
    lrn = model_of("vgg-a-lrn").get_layer("lrn1")
    config = lrn.get_config()  # Krizhevsky et al. 2012, section 3.3
    assert [config[k] for k in ("size", "k", "alpha", "beta")] == [5, 2.0, 1e-4, 0.75]


@pytest.mark.parametrize("name", NETWORKS)
def test_half_of_the_units_of_the_first_two_full_layers_are_dropped(name):
    names = [layer.name for layer in model_of(name).layers]
    dropped = {
        names[i - 1]: layer.rate
        for i, layer in enumerate(model_of(name).layers)
        if isinstance(layer, keras.layers.Dropout)
    }
    assert dropped == {"fc6": 0.5, "fc7": 0.5}


# ---------------------------------------------------------------- beginnings


def beginnings(model):
    """(layer's name, a draw of up to a million of its weights, its biases), as initialised."""
    for layer in model.layers:
        if layer.weights:
            shape = (*layer.kernel.shape[:-2], *(min(s, 330) for s in layer.kernel.shape[-2:]))
            draw = keras.ops.convert_to_numpy(layer.kernel_initializer(shape))
            biases = keras.ops.convert_to_numpy(layer.bias_initializer(layer.bias.shape))
            yield layer.name, draw, biases


@pytest.mark.parametrize("configuration", ["A", "D", "shallow"])
def test_as_published_weights_have_variance_0_01_and_biases_are_zero(configuration):
    """Section 3.1: the variance is 1e-2, so the standard deviation is 0.1."""
    keras.utils.set_random_seed(1)
    model = unweighted(vgg.vgg, configuration=configuration, initialisation="published")
    for layer, draw, biases in beginnings(model):
        error = 0.1 / np.sqrt(draw.size)
        assert abs(draw.mean()) < 4 * error and abs(draw.std() - 0.1) < 4 * error, layer
        assert not biases.any()
        if draw.size > 100_000:  # Gaussian, not truncated
            assert np.mean(np.abs(draw) > 0.2) == pytest.approx(0.0455, abs=0.004), layer


def test_weights_of_the_tables_have_a_deviation_of_0_01():
    keras.utils.set_random_seed(1)
    model = unweighted(vgg.vgg, configuration="D", initialisation="deviation")
    for layer, draw, biases in beginnings(model):
        assert abs(draw.std() - 0.01) < 4 * 0.01 / np.sqrt(draw.size), layer
        assert not biases.any()


def test_weights_after_glorot_are_uniform_by_fan_in_and_fan_out():
    """Glorot and Bengio 2010, equation 16."""
    keras.utils.set_random_seed(1)
    for layer, draw, biases in beginnings(model_of("vgg-d")):
        field = np.prod(draw.shape[:-2])
        limit = np.sqrt(6 / (field * (draw.shape[-2] + draw.shape[-1])))
        assert 0.99 * limit < np.abs(draw).max() <= limit * (1 + 1e-6), layer
        assert draw.std() == pytest.approx(limit / np.sqrt(3), rel=0.03), layer
        assert not biases.any()


def test_each_layer_draws_its_own_weights():
    draws = {name: draw for name, draw, _ in beginnings(model_of("vgg-e")) if draw.ndim == 4}
    same_shape = [draws[f"conv{s}_{n}"] for s in (4, 5) for n in (2, 3, 4)]
    for i, draw in enumerate(same_shape):
        assert not any(np.array_equal(draw, other) for other in same_shape[i + 1 :])


# ---------------------------------------------------------------- deeper networks begin with A

FIRST_FOUR_AND_LAST_THREE = ["conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"]
FROM_A = next(e for e in vgg.PAPER.experiments if e.name == "vgg-b-imagenet").begins


class Finished:
    """A run of A, of images of 32x32 and ten classes, as far as `carry` asks."""

    path = "runs/vgg-a-imagenet/paper-seed0"
    of = types.SimpleNamespace(protocols=("single-view",))

    def run(self):
        told = {"id": 32 * "0", "experiment": "vgg-a-imagenet", "scale": "paper", "seed": 0}
        return {**told, "digest": 12 * "0", "precision": "float32", "resolved": {}}

    def result(self):
        return {"metrics": {"single-view": {"test_error": 29.6}}}


@pytest.fixture
def small_a(monkeypatch):
    """A small A; it is the network of the run that is begun with."""
    keras.utils.set_random_seed(1)
    small = with_random_biases(vgg.vgg("A", classes=10, side=32))
    monkeypatch.setattr(carrying.facts, "experiment_of", lambda journal: Finished.of)
    monkeypatch.setattr(carrying.keeping, "tested", lambda journal, experiment: (small, 1))
    return small


def test_what_a_deeper_network_copies_from_a(small_a, monkeypatch):
    """Section 3.1: the first four convolutions and the three full layers; the rest is drawn."""
    of_a = [layer.name for layer in small_a.layers if layer.weights]
    assert of_a[:4] + of_a[-3:] == FIRST_FOUR_AND_LAST_THREE
    monkeypatch.setattr(vgg, "drawn", lambda initialisation: keras.initializers.Zeros())
    deeper = vgg.vgg("B", classes=10, side=32)
    told = carrying.carry(Finished(), FROM_A, deeper)
    # In A there are layers of these names and shapes too, which are not taken.
    assert {"conv4_1", "conv4_2", "conv5_1", "conv5_2"} <= set(told["drawn"])
    for layer in deeper.layers:
        copied = layer.name in FIRST_FOUR_AND_LAST_THREE
        assert (layer.name in told["drawn"]) == (bool(layer.weights) and not copied)
        theirs = small_a.get_layer(layer.name).get_weights() if copied else ()
        for i, found in enumerate(layer.get_weights()):
            assert found.any() == copied, layer.name
            assert not copied or np.array_equal(found, theirs[i]), layer.name


def test_the_shallow_network_cannot_begin_with_a(small_a):
    shallow = vgg.vgg("shallow", classes=10, side=32)
    with pytest.raises(UsageError, match=r"does not hold conv1_1, conv2_1, .* which begins with"):
        carrying.carry(Finished(), FROM_A, shallow)


@pytest.mark.parametrize("name", ["vgg-a-lrn", "vgg-b", "vgg-c", "vgg-d", "vgg-e"])
def test_every_network_of_3x3_has_room_for_what_comes_from_a(name):
    for layer in FIRST_FOUR_AND_LAST_THREE:
        shapes = [[w.shape for w in model_of(n).get_layer(layer).weights] for n in ("vgg-a", name)]
        assert shapes[0] == shapes[1]


# ---------------------------------------------------------------- densely over an image


@pytest.fixture(scope="module")
def dense(a):
    from repro.networks.convolutional import fully_convolutional

    return fully_convolutional(a)


def test_on_one_crop_the_dense_form_is_the_network(a, dense):
    """Section 3.2: 7x7, 1x1 and 1x1 convolutions for the full layers."""
    kernels = [dense.get_layer(name).kernel_size for name in ("fc6", "fc7", "fc8")]
    assert kernels == [(7, 7), (1, 1), (1, 1)]
    crop = image(224, 224)
    expected = outputs_of(a, crop)
    found = outputs_of(dense, crop)
    assert found.shape == (1, 1, 1, 1000) and expected.std() > 0.05
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_on_a_larger_image_the_dense_form_gives_a_map_of_scores(a, dense):
    """Each place has the full layers' answer to the 7x7 maps there, worked out in NumPy."""
    larger = image(288, 256)
    maps = keras.ops.convert_to_tensor(larger)
    for layer in a.layers[1 : [layer.name for layer in a.layers].index("flatten")]:
        maps = layer(maps)
    maps = keras.ops.convert_to_numpy(maps)[0]
    assert maps.shape == (9, 8, 512)
    *hidden, last = [a.get_layer(name).get_weights() for name in ("fc6", "fc7", "fc8")]
    places = [(i, j) for i in range(3) for j in range(2)]
    x = np.stack([maps[i : i + 7, j : j + 7].ravel() for i, j in places])
    for kernel, bias in hidden:
        x = np.maximum(x @ kernel + bias, 0)
    expected = x @ last[0] + last[1]
    found = outputs_of(dense, larger)
    assert found.shape == (1, 3, 2, 1000)
    assert np.ptp(expected, axis=0).max() > 0.01  # places differ
    np.testing.assert_allclose(found[0].reshape(6, 1000), expected, rtol=1e-3, atol=1e-4)


def test_the_dense_form_has_the_weights_of_the_network_itself(a, dense):
    assert {id(w) for w in dense.weights} == {id(w) for w in a.weights}


# ---------------------------------------------------------------- the same network elsewhere


@pytest.mark.parametrize(("configuration", "elsewhere"), [("D", "VGG16"), ("E", "VGG19")])
def test_d_and_e_are_those_of_keras_applications(configuration, elsewhere):
    """The same weights give the same logits.

    keras.applications has no A, A-LRN, B, C nor the shallow network; they come out of the same
    function, and Table 1's columns above hold them.
    """
    keras.utils.set_random_seed(2)
    model = with_random_biases(vgg.vgg(configuration))
    other = getattr(keras.applications, elsewhere)(weights=None, classifier_activation=None)
    other.set_weights(model.get_weights())
    crop = image(224, 224)
    expected = outputs_of(other, crop)
    assert expected.std() > 0.05
    np.testing.assert_allclose(outputs_of(model, crop), expected, rtol=1e-4, atol=1e-5)
