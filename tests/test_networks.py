"""What the networks of all papers have in common: logits, draws, borders, refused options."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from by_hand import assert_gaussian
from graphs import unweighted

from papers import alexnet, densenet, googlenet, lenet5, nin, preresnet, resnet, vgg
from repro import catalog, settings
from repro.errors import UsageError
from repro.networks import layers

# ---------------------------------------------------------------- logits

MAPS = (8, 16, 8, 16, 8)
MLPCONVS = ((3, 4, 4, 4), (3, 4, 4, 5))
# A small network of each kind, and a layer of it that computes in bfloat16.
MIXED = {
    "alexnet": (alexnet.alexnet, {"maps": MAPS, "towers": 2}, "conv1"),
    "alexnet-local": (alexnet.four_layers, {"side": 24, "lrn": True}, "conv1"),
    **{
        f"nin-{head}": (
            nin.nin,
            {"mlpconvs": MLPCONVS, "image": (8, 8, 3), "spread": ((0.1,) * 3,) * 2, "head": head},
            "conv1",
        )
        for head in nin.HEADS
    },
    "vgg": (vgg.vgg, {"configuration": "A"}, "fc7"),
    "googlenet": (googlenet.googlenet, {"auxiliary": True}, "inception_3a_3x3"),
    "resnet": (resnet.cifar, {"n": 1, "shortcut": "A"}, "conv3_1a"),
    "preresnet": (preresnet.cifar, {"n": 1, "activation": "full-preactivation"}, "conv3_1a"),
    "densenet": (densenet.cifar, {"depth": 10, "growth_rate": 4}, "block1_layer1"),
}


@pytest.mark.parametrize("name", MIXED)
def test_logits_stay_float32_in_mixed_precision(name, mixed_bfloat16):
    build, options, layer = MIXED[name]
    model = unweighted(build, **options)
    assert model.get_layer(layer).compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_the_auxiliary_logits_of_googlenet_stay_float32_too(mixed_bfloat16):
    model = unweighted(googlenet.googlenet, auxiliary=True)
    ends = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert {layer.compute_dtype for layer in ends if "fc" not in layer.name} == {"float32"}


# ---------------------------------------------------------------- names

NAMED = {
    **{name: (build, options) for name, (build, options, _) in MIXED.items()},
    **{
        name: (network.build, network.options)
        for paper in catalog.papers()
        for network in paper.networks
        if paper.name in ("neocognitron", "lenet5", "teaching", "allcnn")
        for name in [network.name]
    },
}


@pytest.mark.parametrize("name", NAMED)
def test_layers_are_called_the_same_whatever_was_built_before(name):
    """Keras numbers those without a name through all networks of a process."""
    build, options = NAMED[name]
    with keras.StatelessScope(initialize_variables=False):
        models = [build(**options) for _ in range(2)]
    keras.backend.clear_session(free_memory=False)
    first, second = ([layer.name for layer in model.layers[1:]] for model in models)
    assert first == second


# ---------------------------------------------------------------- draws

# Two layers of the same shape in one network, or one layer.
DRAWN = {
    "lenet1": (lenet5.lenet1, {}, ("OUTPUT",)),
    "nin": (nin.nin, {"mlpconvs": MLPCONVS, "spread": ((0.1,) * 3,) * 2}, ("cccp1", "cccp2")),
    "resnet": (resnet.cifar, {"n": 1, "shortcut": "A"}, ("conv2_1a", "conv2_1b")),
    "densenet": (
        densenet.cifar,
        {"depth": 16, "growth_rate": 4, "bc": True},
        ("block1_layer1", "block1_layer2"),
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_layer_draws_its_own_weights_and_the_seed_decides_them(name):
    build, options, names = DRAWN[name]
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = build(**options)
        drawn.append([model.get_layer(layer).get_weights()[0] for layer in names])
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[2], strict=True))
    if len(names) == 2:
        assert drawn[0][0].shape == drawn[0][1].shape
        assert not np.array_equal(*drawn[0])


# The fan-in of layers, by network.
HE = {
    "resnet": (
        resnet.cifar,
        {"n": 2, "shortcut": "A"},
        {"conv2_1a": 9 * 16, "conv4_1b": 9 * 64, "fc10": 64},
    ),
    "densenet": (
        densenet.cifar,
        {"depth": 40, "growth_rate": 12},
        {
            "block1_layer12": 9 * 148,
            "transition2": 304,
            "block3_layer5": 9 * 352,
            "fc10": 448,
        },
    ),
}


@pytest.mark.parametrize("name", HE)
def test_weights_are_gaussian_of_variance_2_over_fan_in(name):
    """He et al. 2015, "Delving Deep into Rectifiers", equation 10."""
    keras.utils.set_random_seed(1)
    build, options, fans = HE[name]
    model = build(**options)
    for layer, fan_in in fans.items():
        assert_gaussian(model.get_layer(layer).get_weights()[0], np.sqrt(2 / fan_in))
    assert not np.any(model.get_layer("fc10").get_weights()[1])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, *_ = layer.get_weights()
            assert np.all(gamma == 1) and not beta.any()


# ---------------------------------------------------------------- borders


@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_borders_are_as_wide_on_every_side(side, stride):
    """Each output of a strided layer looks at side // 2 pixels on both sides of its centre."""
    size = 12
    images = keras.Input((size, size, 1))
    model = keras.Model(
        images, layers.zero_bordered_convolution(images, "conv", 1, side, stride, use_bias=False)
    )
    model.get_layer("conv").set_weights([np.ones((side, side, 1, 1))])
    impulses = np.zeros((size, size, size, 1), "float32")
    impulses[range(size), range(size), range(size)] = 1.0
    seen = keras.ops.convert_to_numpy(model(impulses, training=False))[..., 0] > 0.5
    centres = stride * np.arange(size // stride)
    for pixel in range(size):
        near = np.abs(centres - pixel) <= side // 2
        np.testing.assert_array_equal(seen[pixel], near[:, None] & near[None, :])


@pytest.mark.parametrize(
    ("name", "convolution", "options"),
    [
        ("resnet", resnet.convolution, {}),
        ("densenet", densenet.convolution, {}),
        ("googlenet", googlenet.convolution, {"initialisation": "glorot"}),
    ],
)
def test_the_papers_convolutions_have_such_borders(name, convolution, options):
    images = keras.Input((12, 12, 1))
    model = keras.Model(images, convolution(images, "conv", 1, 7, stride=2, **options))
    pad = model.get_layer("conv_pad")
    assert pad.padding == ((3, 3), (3, 3))
    assert model.get_layer("conv").padding == "valid"
    assert model.get_layer("conv").output.shape == (None, 6, 6, 1)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (
            alexnet.alexnet,
            {"maps": MAPS, "towers": 2, "pooling": "overlaping"},
            r"unknown pooling 'overlaping' .did you mean overlapping",
        ),
        (alexnet.alexnet, {"maps": MAPS, "towers": 3}, "towers=3: accepted is 1 or 2"),
        (
            alexnet.four_layers,
            {"side": 24, "activation": "elu"},
            r"unknown activation 'elu'.*accepted: relu, tanh",
        ),
        (
            nin.nin,
            {"mlpconvs": MLPCONVS, "spread": ((0.1,) * 3,) * 2, "head": "max"},
            r"unknown head 'max'.*global-average",
        ),
        (
            nin.nin,
            {"mlpconvs": MLPCONVS, "dropout": 1.0},
            r"dropout=1\.0: accepted is a number from 0, below 1",
        ),
        (vgg.vgg, {"configuration": "F"}, "unknown configuration 'F'; accepted: A, A-LRN, B,"),
        (
            vgg.vgg,
            {"configuration": "A", "initialisation": "he"},
            "unknown initialisation 'he'; accepted: glorot, pub",
        ),
        (
            googlenet.googlenet,
            {"initialisation": "xavier"},
            "unknown initialisation 'xavier'; accepted: glorot, he",
        ),
        (
            resnet.cifar,
            {"n": 1, "shortcut": "a"},
            "unknown shortcut 'a'; accepted: A, B, C, none",
        ),
        (
            preresnet.cifar,
            {"n": 1, "activation": "preactivation"},
            "unknown activation 'preactivation' .did you mean",
        ),
        (
            preresnet.with_multiplied_shortcuts,
            {"n": 1, "shortcut": "gating", "number": 0.0},
            "unknown shortcut 'gating'",
        ),
        (
            densenet.cifar,
            {"depth": 41, "growth_rate": 12},
            "depth=41: accepted is 4 more than a multiple of 3",
        ),
        (
            densenet.cifar,
            {"depth": 103, "growth_rate": 12, "bc": True},
            "depth=103: accepted is 4 more than a multiple of 6",
        ),
    ],
)
def test_an_unknown_option_is_refused_with_what_is_accepted(build, options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)


@pytest.mark.parametrize("name", sorted(n.name for n in catalog.networks()))
def test_every_number_that_a_network_takes_has_limits_of_its_own(name):
    """So that `--set network.n=100000` is refused before hours and memory go into it."""
    network = catalog.network(name)
    options = settings.with_defaults(network.build, network.options)
    numbers = {
        option: value
        for option, value in options.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert set(numbers) <= set(network.limits)
    for option, value in numbers.items():
        least, most = network.limits[option]
        assert least <= value <= most


@pytest.mark.parametrize(
    ("experiment", "assignment", "accepted"),
    [
        ("resnet20-cifar10", "network.n=100000", "from 1 to 200"),  # 200: ResNet-1202
        ("densenet40-k12-cifar10", "network.growth_rate=5000", "from 1 to 48"),
        ("densenet40-k12-cifar10", "network.depth=40000", "from 7 to 250"),
        ("vgg-a-imagenette", "network.side=100000", "from 32 to 224"),
        ("googlenet-imagenette", "network.classes=999999999", "from 2 to 1,000"),
        ("nin-conventional-fc-cifar10", "network.maps=1000000", "from 1 to 512"),
        ("nin-cifar10", "network.dropout=1.5", "from 0 to 0.99"),
        ("alexnet-local-cifar10", "network.side=99999", "from 8 to 32"),
    ],
)
def test_networks_beyond_their_limits_are_refused(experiment, assignment, accepted):
    with pytest.raises(UsageError, match=f"accepted is a .*number {accepted}"):
        settings.override(catalog.experiment(experiment), [assignment])
