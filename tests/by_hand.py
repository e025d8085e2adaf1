"""What networks are held against: the same sums in NumPy; and weights that hide no mistake."""

import keras
import numpy as np


def windows(x, side, stride=1, before=0, after=0, outside=0.0):
    """[..., rows, columns, maps, side, side]: what a window sees at each of its places.

    x: [..., height, width, maps], with so many pixels of the value `outside` put around it.
    """
    x = np.pad(
        x, [*[(0, 0)] * (x.ndim - 3), *[(before, after)] * 2, (0, 0)], constant_values=outside
    )
    views = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(-3, -2))
    return views[..., ::stride, ::stride, :, :, :]


def convolved(x, kernel, bias=0.0, stride=1, border=None):
    """x: [..., height, width, maps in]; kernel: [k, k, maps in, maps out]; the border is zeros."""
    border = len(kernel) // 2 if border is None else border
    seen = windows(x, len(kernel), stride, border, border)
    return np.tensordot(seen, kernel.transpose(2, 0, 1, 3), axes=3) + bias


def locally_convolved(x, kernel, bias, side=3):
    """The same with weights of its own at each place, borders of zeros; `side` is odd."""
    border = side // 2
    x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    y = np.empty((len(x), *bias.shape))
    for r, c in np.ndindex(*bias.shape[:2]):
        y[:, r, c] = (
            x[:, r : r + side, c : c + side].reshape(len(x), -1) @ kernel[r, c] + bias[r, c]
        )
    return y


def relu(x):
    return np.maximum(x, 0)


def normalised_by_loops(a, size, k, alpha, beta):
    """Krizhevsky et al. 2012, section 3.3: j runs from max(0, i - n/2) to min(N - 1, i + n/2)."""
    b = np.zeros_like(a)
    maps = a.shape[-1]
    for i in range(maps):
        total = np.zeros(a.shape[:-1])
        for j in range(max(0, i - size // 2), min(maps - 1, i + size // 2) + 1):
            total += a[..., j] ** 2
        b[..., i] = a[..., i] / (k + alpha * total) ** beta
    return b


def windows_by_loops(x, pool, stride):
    """(output position, its window of x) pairs; windows start inside and cover every pixel."""
    starts = []
    for axis in (0, 1):
        positions, covered = [], 0
        while covered < x.shape[1 + axis]:
            positions.append(len(positions) * stride[axis])
            covered = positions[-1] + pool[axis]
        starts.append(positions)
    for r, top in enumerate(starts[0]):
        for c, left in enumerate(starts[1]):
            rows, columns = slice(top, top + pool[0]), slice(left, left + pool[1])
            yield (r, c), (slice(None), rows, columns)


def pooled_by_loops(x, pool, stride):
    """The maxima of those windows."""
    cells = {
        place: x[window].max(axis=(1, 2)) for place, window in windows_by_loops(x, pool, stride)
    }
    rows, columns = (max(place[axis] for place in cells) + 1 for axis in (0, 1))
    return np.stack(
        [np.stack([cells[r, c] for c in range(columns)], axis=1) for r in range(rows)], axis=1
    )


def weights_of(model):
    """The weights of each layer by its name, in float64."""
    return {m.name: [w.astype("float64") for w in m.get_weights()] for m in model.layers}


def outputs_of(model, images):
    """What the model gives for images while testing."""
    found = model(np.asarray(images, "float32"), training=False)
    return keras.ops.convert_to_numpy(found)


def with_random_normalisations(model, seed=6):
    """Freshly built, gammas are 1 and betas and means 0, which would hide a mistake."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            maps = len(layer.get_weights()[0])
            scales = [random.uniform(0.5, 1.5, maps) for _ in range(2)]
            shifts = [random.normal(0, 0.3, maps) for _ in range(2)]
            layer.set_weights([scales[0], shifts[0], shifts[1], scales[1]])
    return model


def with_random_biases(model, spread=0.1, seed=3):
    """Biases begin as zeros, which would hide that one is missing."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(random.normal(0, spread, layer.bias.shape))
    return model


def assert_gaussian(weights, std):
    """Drawn from a Gaussian of mean zero that is not truncated."""
    z = weights.ravel() / std
    error = 1 / np.sqrt(len(z))
    assert abs(z.mean()) < 4 * error and abs(z.std() - 1) < 4 * error
    if len(z) > 10_000:
        outside = abs(np.mean(np.abs(z) > 2) - 0.0455)
        assert outside <= 4 * np.sqrt(0.0455) * error


def bilinear(picture, height, width):
    """A picture [H, W, C] at another size: each pixel from the four around its place, as numbers.

    Going down, what lies between those is left out.
    """
    picture = np.asarray(picture, float)
    for axis, length in ((0, height), (1, width)):
        old = picture.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        first = np.minimum(np.floor(place).astype(int), max(old - 2, 0))
        part = (place - first).reshape([-1 if a == axis else 1 for a in range(picture.ndim)])
        next_one = np.minimum(first + 1, old - 1)
        picture = (1 - part) * picture.take(first, axis) + part * picture.take(next_one, axis)
    return picture
