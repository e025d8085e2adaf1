"""ZFNet (Zeiler and Fergus 2013): its networks, what the paper reports, renormalised filters."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import elsewhere
from by_hand import convolved, normalised_by_loops, pooled_by_loops, relu, weights_of
from graphs import counted, layers_of, model_of, unweighted

from papers import zfnet
from repro import backends, spec
from repro.data.augmentation import OneOfTenCrops
from repro.data.draws import Draw
from repro.errors import UsageError
from repro.networks import losses, optimizers
from repro.networks.zeiler2013 import RenormalisedFilters

NETWORKS = {n.name: n for n in zfnet.PAPER.networks}
EXPERIMENTS = {e.name: e for e in zfnet.PAPER.experiments}


# ---------------------------------------------------------------- the networks

# Network (a), by layer: the shape of the output, parameters, multiply-adds.
NETWORK_A = {
    "conv1": ([110, 110, 96], 14_208, 170_755_200),
    "pool1": ([55, 55, 96], 0, 0),
    "conv2": ([26, 26, 256], 614_656, 415_334_400),
    "pool2": ([13, 13, 256], 0, 0),
    "conv3": ([13, 13, 384], 885_120, 149_520_384),
    "conv4": ([13, 13, 384], 1_327_488, 224_280_576),
    "conv5": ([13, 13, 256], 884_992, 149_520_384),
    "pool5": ([6, 6, 256], 0, 0),
    "fc6": ([4096], 37_752_832, 37_748_736),
    "fc7": ([4096], 16_781_312, 16_777_216),
    "fc8": ([1000], 4_097_000, 4_096_000),
}


def test_network_a_layer_by_layer():
    rows = layers_of("zfnet-a")
    for name, expected in NETWORK_A.items():
        row = rows[name]
        assert (row["output_shape"], row["parameters"], row["multiply_adds"]) == expected, name
    assert {n for n in rows if rows[n]["parameters"]} == {n for n in NETWORK_A if NETWORK_A[n][1]}


# The layers with weights of each row of Table 3: what each makes.
MAPS_A = {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256}
MAPS_B = {**MAPS_A, "conv3": 512, "conv4": 1024, "conv5": 512}
WITHOUT_3_4 = {"conv1": 96, "conv2": 256, "conv5": 256}


def units(sixth, seventh):
    return {**({"fc6": sixth} if sixth else {}), **({"fc7": seventh} if seventh else {})}


ROWS = {
    "zfnet-a": (MAPS_A, units(4096, 4096)),
    "zfnet-b": (MAPS_B, units(4096, 4096)),
    "zfnet-a-fc2048": (MAPS_A, units(2048, 2048)),
    "zfnet-a-fc8192": (MAPS_A, units(8192, 8192)),
    "zfnet-b-fc8192": (MAPS_B, units(8192, 8192)),
    "zfnet-alexnet": (MAPS_A, units(4096, 4096)),
    "zfnet-alexnet-without-3-4": (WITHOUT_3_4, units(4096, 4096)),
    "zfnet-alexnet-without-7": (MAPS_A, units(4096, 0)),
    "zfnet-alexnet-without-6-7": (MAPS_A, units(0, 0)),
    "zfnet-alexnet-without-3-4-6-7": (WITHOUT_3_4, units(0, 0)),
    "zfnet-alexnet-fc2048": (MAPS_A, units(2048, 2048)),
    "zfnet-alexnet-fc8192": (MAPS_A, units(8192, 8192)),
    "zfnet-a-128": (MAPS_A, units(4096, 4096)),
}


@pytest.mark.parametrize("name", ROWS)
def test_which_layers_a_row_of_table_3_has(name):
    """Of two towers, the maps of both; half of the units of layers 6 and 7 are dropped."""
    maps, full = ROWS[name]
    found, dropped = {}, {}
    for layer in model_of(name).layers:
        made = getattr(layer, "filters", None) or getattr(layer, "units", None)
        stem = layer.name.split("_")[0]
        if made:
            found[stem] = found.get(stem, 0) + made
        if isinstance(layer, keras.layers.Dropout):
            dropped[stem] = layer.rate
    assert found == {**maps, **full, "fc8": NETWORKS[name].options.get("classes", 1000)}
    assert dropped == dict.fromkeys(full, 0.5)


def test_the_replication_has_the_layers_of_alexnet():
    ours, theirs = (
        [
            (r["kind"], r["output_shape"], r["parameters"])
            for r in counted(n)["layers"]
            if r["parameters"]
        ]
        for n in ("zfnet-alexnet", "alexnet")
    )
    assert ours == theirs
    assert set(ROWS) == set(NETWORKS)


def test_filters_of_convolutions_alone_are_renormalised():
    for name in ("zfnet-a", "zfnet-alexnet"):
        for layer in model_of(name).layers:
            if isinstance(layer, keras.layers.Conv2D):
                assert layer.kernel_constraint.radius == 0.1, layer.name
                assert layer.kernel.constraint is layer.kernel_constraint
                assert layer.bias.constraint is None
            elif layer.weights:
                assert layer.kernel.constraint is None, layer.name


def test_the_network_computes_what_figure_3_describes():
    keras.utils.set_random_seed(4)
    small = {"maps": (4, 6, 5, 7, 3), "units": (9, 8), "classes": 5, "side": 48}
    model = zfnet.eight_layers(**small)
    random = np.random.default_rng(2)
    for layer in model.layers:
        if layer.weights:
            kernel = random.normal(0, 0.2, layer.kernel.shape)
            layer.set_weights([kernel, random.normal(0, 0.1, layer.bias.shape)])
    image = random.uniform(-2, 2, (48, 48, 3))
    w = weights_of(model)

    def convolution(x, name, stride=1, border=1):
        return relu(convolved(x, *w[name], stride, border))

    def pool(x):
        return pooled_by_loops(x[None], (3, 3), (2, 2))[0]

    def normalised(x):
        return normalised_by_loops(x, size=5, k=2, alpha=1e-4, beta=0.75)

    x = normalised(pool(convolution(image, "conv1", 2, 1)))  # 22x22, then 11x11
    x = normalised(pool(convolution(x, "conv2", 2, 0)))  # 4x4, then 2x2
    for name in ("conv3", "conv4", "conv5"):
        x = convolution(x, name)
    x = pool(x).ravel()
    for name in ("fc6", "fc7"):
        x = 0.5 * relu(x @ w[name][0] + w[name][1])  # halved in tests, not doubled in training
    expected = x @ w["fc8"][0] + w["fc8"][1]
    found = keras.ops.convert_to_numpy(model(image[None].astype("float32"), training=False))[0]
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("trunk", zfnet.TRUNKS)
def test_responses_are_normalised_in_two_layers_or_in_none(trunk):
    side = 227 if trunk == "alexnet" else 224
    small = {"maps": (4, 6, 4, 8, 4), "units": (9, 8), "trunk": trunk, "side": side}
    with_it, without = (
        [layer.name for layer in unweighted(zfnet.eight_layers, lrn=lrn, **small).layers[1:]]
        for lrn in (True, False)
    )
    assert [name for name in with_it if name not in without] == ["norm1", "norm2"]
    assert [name for name in with_it if name in without] == without


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": zfnet.A, "trunk": "zfnt"}, "unknown trunk 'zfnt' .did you mean zfnet"),
        ({"maps": (96, 0, 384, 384, 256)}, "accepted is one or more in the first two layers"),
    ],
)
def test_a_network_that_is_no_row_of_table_3_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        unweighted(zfnet.eight_layers, units=(1, 1), **options)


# ---------------------------------------------------------------- renormalised filters


def renormalised(kernel, radius=0.1):
    """By hand: one filter after the other."""
    kernel = kernel.copy()
    for k in range(kernel.shape[-1]):
        size = np.sqrt(np.mean(kernel[..., k] ** 2))
        if size > radius:
            kernel[..., k] *= radius / size
    return kernel


def test_filters_above_the_radius_are_scaled_back_and_the_others_stay():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 3, 2, 5)) * [0.01, 0.0, 0.09, 0.2, 5.0]
    found = keras.ops.convert_to_numpy(RenormalisedFilters(0.1)(kernel.astype("float32")))
    np.testing.assert_allclose(found, renormalised(kernel), rtol=1e-5)
    np.testing.assert_array_equal(found[..., :2], kernel[..., :2].astype("float32"))
    sizes = np.sqrt((found**2).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(sizes[3:], 0.1, rtol=1e-5)


def test_an_exported_layer_has_its_constraint():
    layer = keras.layers.Conv2D(2, 3, kernel_constraint=RenormalisedFilters(0.25))
    described = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(described).kernel_constraint.radius == 0.25


def linear():
    """A convolution over the whole image: what each update makes of its kernel is known."""
    return keras.Sequential(
        [
            keras.Input((2, 2, 3)),
            keras.layers.Conv2D(
                4, 2, use_bias=False, kernel_constraint=RenormalisedFilters(0.1), name="conv"
            ),
            keras.layers.Flatten(),
        ]
    )


def examples():
    random = np.random.default_rng(5)
    kernel = random.normal(0, 0.09, (2, 2, 3, 4))
    return kernel, random.normal(size=(3, 16, 2, 2, 3)), random.integers(0, 4, (3, 16))


def trained_by_hand(kernel, images, labels, rate=2.0, momentum=0.9):
    """Updates of SGD on the softmax, each followed by the renormalisation."""
    velocity = np.zeros_like(kernel)
    for batch, classes in zip(images, labels, strict=True):
        inputs = batch.reshape(len(batch), -1)
        outputs = inputs @ kernel.reshape(-1, 4)
        shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        gradient = inputs.T @ (shares - np.eye(4)[classes]) / len(batch)
        velocity = momentum * velocity - rate * gradient.reshape(kernel.shape)
        kernel = renormalised(kernel + velocity)
    return kernel


def trained(name="single"):
    """By the loop and the optimizer that experiments are trained with."""
    kernel, images, labels = examples()
    here = backends.here()
    there = tuple(here.devices())
    devices = here.Devices(name, there if name == "mirrored" else there[:1])
    with devices.scope():
        model = linear()
        optimizer = optimizers.build(spec.SGD(2.0, momentum=0.9))
        optimizer.build(model.trainable_variables)
    model.get_layer("conv").set_weights([kernel])
    optimizer.set_rate(2.0)
    loop = devices.loop(model, optimizer, losses.SoftmaxCrossEntropy(), 16, 3)
    loop(images.astype("float32"), labels.astype("int32"))
    return backends.as_numpy(model.get_layer("conv").kernel)


@pytest.mark.parametrize("name", ["single", "mirrored"])
def test_training_renormalises_after_each_update(name, two_devices):
    expected = trained_by_hand(*examples())
    sizes = np.sqrt((expected**2).mean(axis=(0, 1, 2)))
    assert np.isclose(sizes, 0.1).any()  # what it is about happens
    np.testing.assert_allclose(trained(name), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends_renormalise_too(backend, tmp_path):
    found = elsewhere.computed(backend, "test_zfnet", "trained", tmp_path)
    expected = trained_by_hand(*examples())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- what was reported

# Table 3: top-1 on the training images; top-1 and top-5 on the validation images.
TABLE_3 = """
zfnet-alexnet 35.1 40.5 18.1
zfnet-alexnet-without-3-4 41.8 45.4 22.1
zfnet-alexnet-without-7 27.4 40.0 18.4
zfnet-alexnet-without-6-7 27.4 44.8 22.4
zfnet-alexnet-without-3-4-6-7 71.1 71.3 50.1
zfnet-alexnet-fc2048 40.3 41.7 18.8
zfnet-alexnet-fc8192 26.8 40.0 18.1
zfnet-a 33.1 38.4 16.5
zfnet-a-fc2048 38.2 40.2 17.6
zfnet-a-fc8192 22.0 38.8 17.0
zfnet-b 18.8 37.5 16.0
zfnet-b-fc8192 10.0 38.3 16.9
"""


def test_tables_2_and_3():
    rows = [line.split() for line in TABLE_3.split("\n") if line]
    assert len(rows) == len(EXPERIMENTS) - 1
    for name, *values in rows:
        training, *test = map(float, values)
        numbers = {r.metric: r for r in EXPERIMENTS[f"{name}-imagenet"].reported}
        assert [numbers[m].value for m in ("test_error", "test_top5_error")] == test
        of_network = {(r.metric, r.source): r.value for r in NETWORKS[name].reported}
        tested = {("test_top5_error", "Table 2, test images"): 16.1} if name == "zfnet-b" else {}
        trained = {("training_error", "Table 3, training images"): training}
        assert of_network == {**trained, **tested}
        both = name in ("zfnet-a", "zfnet-b", "zfnet-alexnet")
        assert {n.source.split(",")[0] for n in numbers.values()} == {
            "Tables 2 and 3" if both else "Table 3"
        }
    assert EXPERIMENTS["zfnet-a-imagenette"].reported == ()


def test_several_networks_together():
    judged = [number for ensemble in zfnet.PAPER.ensembles for number in ensemble.reported]
    found = {(r.chosen, r.metric, r.source): r.value for r in (*zfnet.PAPER.reported, *judged)}
    validation, test = "Table 2, validation images", "Table 2, test images"
    five, six = "five networks (a)", "five networks (a) and one (b)"
    assert found == {
        (five, "test_error", validation): 36.7,
        (five, "test_top5_error", validation): 15.3,
        (five, "test_top5_error", test): 15.3,
        (six, "test_error", validation): 36.0,
        (six, "test_top5_error", validation): 14.7,
        (six, "test_top5_error", test): 14.8,
    }
    members = {ensemble.name: ensemble.members for ensemble in zfnet.PAPER.ensembles}
    a, b = "zfnet-a-imagenet", "zfnet-b-imagenet"
    assert members == {five: (a, a, a, a, a), six: (a, a, a, a, a, b)}


def test_the_claims_are_those_that_table_3_bears_out():
    errors = {line.split()[0]: float(line.split()[2]) for line in TABLE_3.split("\n") if line}
    for claim in zfnet.CLAIMS:
        worse, better = (errors[name.removesuffix("-imagenet")] for name in claim.needs)
        assert worse - better > claim.margin, claim.name


# ---------------------------------------------------------------- the recipe


def test_the_recipe():
    recipe = EXPERIMENTS["zfnet-a-imagenet"].recipe
    assert (recipe.batch, recipe.passes, recipe.augmentation.side) == (128, 70, 224)
    assert (recipe.optimizer.rate, recipe.optimizer.momentum) == (0.01, 0.9)
    rates = [rate for _, rate in recipe.optimizer.stretches(recipe.passes)]
    assert rates == sorted(rates, reverse=True) and len(rates) > 1
    assert recipe.preprocessing[0].side == 256


def test_one_of_ten_crops_is_each_of_the_ten_as_often():
    image = np.arange(6 * 5 * 3, dtype="float32").reshape(1, 6, 5, 3)
    corners = [(0, 0), (0, 1), (2, 0), (2, 1), (1, 0)]  # the centre of a row of 5 is at 0.5
    ten = [image[0, y : y + 4, x : x + 4] for y, x in corners]
    ten += [crop[:, ::-1] for crop in ten]
    count = 5000
    draw = Draw(np.arange(count), count, seed=3, pass_number=1)
    crops = OneOfTenCrops(4)(np.repeat(image, count, axis=0), draw)
    counts = [(crops == crop).all(axis=(1, 2, 3)).sum() for crop in ten]
    assert sum(counts) == count
    expected = count / 10
    assert sum((np.array(counts) - expected) ** 2) / expected < 27.9  # chi squared, 0.1 %


def test_crops_larger_than_the_images_are_refused():
    draw = Draw(np.arange(1), 1, seed=3, pass_number=1)
    with pytest.raises(UsageError, match="smaller"):
        OneOfTenCrops(9)(np.zeros((1, 8, 8, 3), "float32"), draw)
