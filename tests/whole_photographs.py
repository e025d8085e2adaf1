"""A small network on photographs of odd sizes, and in NumPy what the protocols make of them.

Another process computes `scored_by_both()` on another backend, see `elsewhere.py`.
"""

import io

import numpy as np
from by_hand import convolved
from PIL import Image

from repro.data.decoding import resize
from repro.data.photographs import Lazily, Photographs, Ragged

SIDE, CLASSES, SCALE = 8, 5, 256.0
SIZES = [(13, 20), (21, 12), (14, 14), (30, 9), (13, 20)]  # 30x9 is enlarged, and thrice as high
NAMES = ("dense-9-12", "50-crop-9-13", "50-crop-and-dense-12")
COLOUR = np.array([100.0, 120.0, 140.0])

_draw = np.random.default_rng(3)
PICTURES = [_draw.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]
KERNELS = {
    "conv1": (_draw.normal(0, 0.4, (3, 3, 3, 4)), _draw.normal(0, 0.3, 4)),
    "conv2": (_draw.normal(0, 0.4, (3, 3, 4, 6)), _draw.normal(0, 0.3, 6)),
    "fc3": (_draw.normal(0, 0.4, (2 * 2 * 6, 7)), _draw.normal(0, 0.3, 7)),
    "fc4": (_draw.normal(0, 0.4, (7, CLASSES)), _draw.normal(0, 0.3, CLASSES)),
}


def kept(pictures) -> Photographs:
    """Pictures without loss of quality, as the files of a set are kept."""
    files = []
    for picture in pictures:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        files.append(stream.getvalue())
    encoded = np.frombuffer(b"".join(files), np.uint8)
    return Photographs(Ragged(encoded, np.cumsum([len(file) for file in files])))


def network(side: int = SIDE):
    """Like VGG: convolutions, max-pooling, two full layers, the last maps 2x2 for 8x8 pixels."""
    import keras

    x = images = keras.Input((side, side, 3))
    for name, maps in (("conv1", 4), ("conv2", 6)):
        x = keras.layers.Conv2D(maps, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(7, activation="relu", name="fc3")(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(images, keras.layers.Dense(CLASSES, name="fc4")(x), name="small")


def with_kernels(model):
    for name, weights in KERNELS.items():
        model.get_layer(name).set_weights(weights)
    return model


def centred(images):
    return (np.asarray(images, "float32") - COLOUR.astype("float32")) / np.float32(SCALE)


def scored(names=NAMES, count=5, batch=16) -> np.ndarray:
    """The logs of the mean softmax of each picture: [protocols, pictures, classes]."""
    from repro.data.crops import Square
    from repro.training import protocols
    from repro.training.whole import Whole

    model, images = with_kernels(network()), Lazily(kept(PICTURES), (Square(12), centred))
    made = np.full((len(names), count, CLASSES), np.nan, "float32")
    for logs, name in zip(made, names, strict=True):
        for numbers, some in Whole(model, protocols.parse(name), batch).over(images, count):
            assert np.isnan(logs[numbers]).all(), "scored twice"
            logs[numbers] = some
    return made


def scored_by_both() -> np.ndarray:
    """Crops and dense: on JAX a network is compiled for each size, so at one scale."""
    return scored(NAMES[2:])


# ---------------------------------------------------------------- in NumPy


def softmax(logits):
    each = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return each / each.sum(axis=-1, keepdims=True)


def resized(picture, shorter):
    """By the code under test, which test_photographs.py holds to sums by hand."""
    height, width = picture.shape[:2]
    factor = shorter / min(height, width)
    return resize(picture, round(height * factor), round(width * factor), "bilinear")


def score_map(image):
    """The class scores of the small network at each place of an image: [rows, columns, classes]."""
    x = (image.astype("float64") - COLOUR) / SCALE
    for name in ("conv1", "conv2"):
        y = np.maximum(convolved(x, *KERNELS[name]), 0)
        rows, columns = y.shape[0] // 2, y.shape[1] // 2  # what is left over is left out
        blocks = y[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, -1)
        x = blocks.max(axis=(1, 3))
    scores = np.zeros((x.shape[0] - 1, x.shape[1] - 1, CLASSES))
    for r, c in np.ndindex(*scores.shape[:2]):
        hidden = x[r : r + 2, c : c + 2].ravel() @ KERNELS["fc3"][0] + KERNELS["fc3"][1]
        scores[r, c] = np.maximum(hidden, 0) @ KERNELS["fc4"][0] + KERNELS["fc4"][1]
    return scores


def dense(picture, scales):
    """The mean softmax over scales and mirror images, of scores averaged over places."""
    found = []
    for scale in scales:
        image = resized(picture, scale)
        for view in (image, image[:, ::-1]):
            found.append(softmax(score_map(view).mean(axis=(0, 1))))
    return np.mean(found, axis=0)


def fifty(picture, scales):
    """The mean softmax of a 5x5 grid of crops and their mirror images at each scale."""
    found = []
    for scale in scales:
        image = resized(picture, scale)
        height, width = image.shape[:2]
        for i in range(5):
            for j in range(5):
                top, left = (height - SIDE) * i // 4, (width - SIDE) * j // 4
                crop = image[top : top + SIDE, left : left + SIDE]
                found += [softmax(score_map(view)[0, 0]) for view in (crop, crop[:, ::-1])]
    assert len(found) == 50 * len(scales)
    return np.mean(found, axis=0)


def expected(name: str) -> np.ndarray:
    """The mean softmax of each picture by one of NAMES: [pictures, classes]."""
    scales = [int(word) for word in name.split("-") if word.isdigit() and word != "50"]
    parts = {
        "dense": [dense],
        "50-crop": [fifty],
        "50-crop-and-dense": [fifty, dense],
    }[name.partition(f"-{scales[0]}")[0]]
    return np.array(
        [np.mean([part(picture, scales) for part in parts], axis=0) for picture in PICTURES]
    )
