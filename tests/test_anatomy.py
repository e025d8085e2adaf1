"""The figures of the papers, and of small networks counted by hand."""

import dataclasses

import pytest

from repro import catalog, spec
from repro.errors import RunError
from repro.networks import anatomy

keras = pytest.importorskip("keras")
layers = keras.layers

# LeCun et al. 1998, section II.B: trainable parameters, connections, output shape. The paper prints
# the parameters and connections of C1 to F6; the ten units of the output see 84 codes each. The
# receptive fields follow from 5x5 kernels and 2x2 fields: 5, 5+1, 6+4*2, 14+2, 16+4*4.
LENET5 = {
    "C1": (156, 122_304, [28, 28, 6], 5),
    "S2": (12, 5_880, [14, 14, 6], 6),
    "C3": (1_516, 151_600, [10, 10, 16], 14),
    "S4": (32, 2_000, [5, 5, 16], 16),
    "C5": (48_120, 48_120, [1, 1, 120], 32),
    "F6": (10_164, 10_164, [84], 32),
    "OUTPUT": (0, 840, [10], 32),
}


@pytest.fixture(scope="module")
def lenet5():
    return anatomy.of_network(catalog.network("lenet5"))


@pytest.mark.parametrize("name", LENET5)
def test_each_layer_of_lenet5_is_the_papers(lenet5, name):
    (layer,) = [layer for layer in lenet5["layers"] if layer["name"] == name]
    found = tuple(
        layer[key] for key in ("parameters", "connections", "output_shape", "receptive_field")
    )
    assert found == LENET5[name]


def test_lenet5_has_60000_parameters_and_340908_connections(lenet5):
    assert lenet5["parameters"] == 60_000
    assert lenet5["connections"] == 340_908
    assert lenet5["published"] == {"parameters": 60_000, "connections": 340_908}
    assert lenet5["network"] == "lenet5"
    assert lenet5["input_shape"] == [32, 32, 1]


def test_multiply_adds_of_lenet5_are_its_connections_without_biases_and_subsampling(lenet5):
    # C1 28*28*6*25, C3 60 pairs of maps * 25 * 100, C5 400*120, F6 120*84, output 84*10
    assert lenet5["multiply_adds"] == 117_600 + 150_000 + 48_000 + 10_080 + 840


def test_only_the_named_layers_count(lenet5):
    counted = {layer["name"] for layer in lenet5["layers"] if layer["connections"]}
    assert counted == set(LENET5)


def test_the_textbooks_lenet5_sees_the_whole_image_too():
    modern = anatomy.of_network(catalog.network("lenet5-modern"))
    assert modern["layers"][-1]["receptive_field"] == 32
    assert modern["published"] == {} and modern["reported"] == []


def test_what_the_paper_prints_of_a_network_stands_beside_its_anatomy():
    network = catalog.network("alexnet-local")
    plain = dataclasses.replace(
        network,
        published={"parameters": 1},
        source="Table 0",
        reported=(spec.Reported("test_error", 12.5, "Table 0"),),
    )
    found = anatomy.of_network(plain)
    assert found["parameters"] == 1_116_490
    assert (found["published"], found["source"]) == ({"parameters": 1}, "Table 0")
    (number,) = found["reported"]
    assert (number["metric"], number["value"]) == ("test_error", 12.5)


def by_name(model):
    found = anatomy.anatomy(model)
    return {layer["name"]: layer for layer in found["layers"]}, found


def test_grouped_strided_convolution_and_overlapping_pooling():
    """AlexNet's first two convolutions (Krizhevsky et al. 2012, section 3.5), two groups in conv2.

    Parameters 34,944 and 307,456, maps 55x55 and 27x27; the fields are 11, 11+2*4, 19+4*8.
    """
    image = keras.Input((227, 227, 3))
    x = layers.Conv2D(96, 11, strides=4, name="conv1")(image)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(256, 5, padding="same", groups=2, name="conv2")(x)
    rows, total = by_name(keras.Model(image, x))
    assert rows["conv1"]["parameters"] == 34_944
    assert rows["conv1"]["multiply_adds"] == 55 * 55 * 96 * 11 * 11 * 3
    assert rows["conv1"]["connections"] == 55 * 55 * 96 * (11 * 11 * 3 + 1)
    assert rows["pool1"]["output_shape"] == [27, 27, 96]
    assert rows["conv2"]["parameters"] == 307_456
    assert rows["conv2"]["multiply_adds"] == 27 * 27 * 256 * 5 * 5 * 48
    assert [rows[n]["receptive_field"] for n in ("conv1", "pool1", "conv2")] == [11, 19, 51]
    assert total["parameters"] == 34_944 + 307_456


def test_branches_normalisation_and_global_pooling():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    branch = layers.Conv2D(4, 5, padding="same", use_bias=False, name="wide")(x)
    x = layers.Add(name="sum")([x, branch])
    x = layers.Concatenate(name="both")([x, branch])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    rows, total = by_name(keras.Model(image, layers.Dense(10, name="classes")(x)))
    assert rows["norm"]["parameters"] == 2 * 4  # gamma and beta, not the moving averages
    assert rows["norm"]["multiply_adds"] == rows["norm"]["connections"] == 0
    assert rows["first"]["receptive_field"] == 3
    assert rows["sum"]["receptive_field"] == rows["both"]["receptive_field"] == 7
    assert rows["both"]["output_shape"] == [8, 8, 8]
    assert rows["pool"]["receptive_field"] == rows["classes"]["receptive_field"] == 7 + 7
    assert total["parameters"] == 3 * 3 * 3 * 4 + 8 + 5 * 5 * 4 * 4 + 8 * 10 + 10
    assert total["multiply_adds"] == 64 * 4 * (9 * 3 + 25 * 4) + 80


def test_dilation_widens_the_field_and_1x1_layers_do_not():
    image = keras.Input((9, 11, 1))
    x = layers.Conv2D(2, (3, 1), dilation_rate=2, name="dilated")(image)
    x = layers.Conv2D(2, 1, name="pointwise")(x)
    rows, _ = by_name(keras.Model(image, layers.Dense(3, name="at_each_place")(x)))
    assert rows["dilated"]["output_shape"] == [5, 11, 2]
    assert {n: r["receptive_field"] for n, r in rows.items()} == {n: [5, 1] for n in rows}
    assert rows["at_each_place"]["multiply_adds"] == 5 * 11 * 2 * 3


def test_a_layer_used_twice_has_its_parameters_once_and_its_work_twice():
    shared = layers.Dense(5, name="shared")
    row = keras.Input((5,))
    found = anatomy.anatomy(keras.Model(row, shared(shared(row))))
    assert [r["parameters"] for r in found["layers"]] == [30, 0]
    assert found["multiply_adds"] == 2 * 25


def test_networks_inside_a_network_are_counted():
    block = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 3, name="c")], name="block")
    image = keras.Input((6, 6, 1))
    rows, total = by_name(keras.Model(image, layers.Flatten()(block(image))))
    assert rows["block/c"]["parameters"] == total["parameters"] == 20
    assert rows["block/c"]["receptive_field"] == 3


def test_images_from_rows_and_operations_without_layers():
    row = keras.Input((36,))
    x = layers.Reshape((6, 6, 1))(row)
    x = layers.Conv2D(2, 3, name="c")(x)
    x = keras.ops.relu(x) + x
    x = keras.ops.mean(x, axis=(1, 2))
    found = anatomy.anatomy(keras.Model(row, x))
    assert found["parameters"] == 20
    assert found["layers"][-1]["receptive_field"] == 6


def test_a_weight_matrix_of_unknown_use_is_refused():
    row = keras.Input((5, 4))
    with pytest.raises(RunError, match="does not know the connections of LSTM"):
        anatomy.anatomy(keras.Model(row, layers.LSTM(3)(row)))


def test_a_model_that_is_no_graph_is_refused():
    class Opaque(keras.Model):
        pass

    with pytest.raises(RunError, match="needs a graph"):
        anatomy.anatomy(Opaque())
