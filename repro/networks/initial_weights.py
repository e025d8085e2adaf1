"""Initial weights as functions of (seed, weight), the same on every backend of Keras.

NumPy draws them, and the backend is only given the values. Each weight is the value up to which the
distribution that its initializer describes has the share u (inverse transform sampling), and u is
uniform between 0 and 1:

- The stream is Philox4x64-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"),
  which NumPy guarantees, unlike what its generators make of it. Its counter begins at 0, its key is
  the first half of the SHA-256 of "seed/layer/weight/shape/count".
- Each number of 64 bits gives two of 32, the lower half first; k of 32 bits stands for
  u = (k + 1/2) / 2^32. So no weight lies further than 6.33 standard deviations from its mean.
- Values are computed in float64 and rounded to float32 once. Uniform ones are the same on every
  machine; normal ones go through a logarithm, which may differ in the last bit of float64, and thus
  in the last bit of one float32 in a hundred million.
"""

import contextlib
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from repro.errors import UsageError
from repro.lazy import keras
from repro.lazy import numpy as np

VERSION = "numpy philox 1"  # what run.json says of them; another one for whatever changes a value
CHUNK = 2**20  # weights that are drawn at a time, of 8 bytes and more each
TRUNCATED_AT = 2.0  # standard deviations, in Keras' truncated normal distribution
TRUNCATED_STD = 0.87962566103423978  # what is left of the standard deviation then

Quantile = Callable[[Any], Any]  # shares u -> values, both float64 [rows, last axis of the weight]


@contextlib.contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Within it, the weights of layers that are built are drawn here, not by the backend.

    A weight is told from others by the names of its layer and of itself, its shape, and how many
    like it were built before; how far Keras has numbered layers without a name has no part in it.
    Raises UsageError for an initializer whose distribution is not known here.
    """
    add_weight = keras.layers.Layer.add_weight
    before: Counter = Counter()

    def adding(layer, shape=None, initializer=None, dtype=None, **options):
        weight = _name(layer), options.get("name"), tuple(map(int, shape or ()))
        key = "/".join(map(str, (seed, *weight, before[weight])))
        before[weight] += 1
        given = _drawing(keras.initializers.get(initializer), weight[-1], key)
        return add_weight(layer, shape=shape, initializer=given, dtype=dtype, **options)

    keras.layers.Layer.add_weight = adding
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = add_weight


def _name(layer: Any) -> str:
    """The name of a layer; of one that Keras named, without its number."""
    stem = re.sub(r"_\d+$", "", layer.name)
    automatic = stem.replace("_", "").lower() == type(layer).__name__.lower()
    return stem if automatic else layer.name


def _drawing(initializer: Any, shape: tuple[int, ...], key: str) -> Any:
    """An initializer that draws by `key` what `initializer` describes for a weight of `shape`."""
    ours = keras.initializers
    if isinstance(initializer, ours.Zeros | ours.Ones | ours.Constant | ours.Identity):
        return initializer
    return Drawing(quantile(initializer, shape), key)


@dataclass(frozen=True, eq=False)
class Drawing:
    """An initializer; no function, since Keras hands its method `__call__` to JAX."""

    quantile: Quantile
    key: str

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return keras.ops.convert_to_tensor(values(self.quantile, tuple(shape), self.key), dtype)


def values(quantile: Quantile, shape: tuple[int, ...], key: str) -> "np.ndarray":
    """A weight of this shape, float32."""
    philox = np.random.Philox(key=int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))
    weight = np.empty(shape, "float32")
    rows = weight.reshape(-1, shape[-1] if shape else 1)
    step = max(2, CHUNK // rows.shape[1] // 2 * 2)  # even: no half of a number is left over
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        raw = philox.random_raw((part.size + 1) // 2).astype("<u8", copy=False)
        shares = (raw.view("<u4")[: part.size].reshape(part.shape) + 0.5) * 2.0**-32
        part[:] = quantile(shares)
    return weight


def quantile(initializer: Any, shape: tuple[int, ...]) -> Quantile:
    """The inverse of the distribution function that an initializer has for a weight of this shape.

    An initializer of our own has it as its method `quantile`. Raises UsageError for others.
    """
    ours, method = keras.initializers, type(initializer).__call__
    if hasattr(initializer, "quantile"):
        return initializer.quantile
    if method is ours.RandomUniform.__call__:
        return uniform(initializer.minval, initializer.maxval)
    if method is ours.RandomNormal.__call__:
        return normal(initializer.mean, initializer.stddev)
    if method is ours.TruncatedNormal.__call__:
        return truncated_normal(initializer.mean, initializer.stddev)
    if method is ours.VarianceScaling.__call__:
        variance = initializer.scale / max(1.0, _fan(initializer, shape))
        if initializer.distribution == "uniform":
            return uniform(-math.sqrt(3.0 * variance), math.sqrt(3.0 * variance))
        if initializer.distribution == "untruncated_normal":
            return normal(0.0, math.sqrt(variance))
        return truncated_normal(0.0, math.sqrt(variance) / TRUNCATED_STD)
    raise UsageError(
        f"initializer {type(initializer).__name__}: what it draws is not known; accepted are the "
        "constants of Keras, its (truncated) normal, uniform and variance-scaling ones, and those "
        f"with a method `quantile` ({__name__})"
    )


def uniform(low: Any, high: Any) -> Quantile:
    """`low`, `high`: numbers, or arrays of one for each entry of the last axis."""
    return lambda shares: low + (high - low) * shares


def normal(mean: float, std: float) -> Quantile:
    from scipy.special import ndtri

    return lambda shares: mean + std * ndtri(shares)


def truncated_normal(mean: float, std: float) -> Quantile:
    """`std`: before what lies beyond two of it is cut off on either side."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-TRUNCATED_AT), ndtr(TRUNCATED_AT)
    return lambda shares: mean + std * ndtri(low + (high - low) * shares)


def _fan(initializer: Any, shape: tuple[int, ...]) -> float:
    """Inputs or outputs of a unit, or the mean of both, as `initializer.mode` says."""
    if initializer.input_axes is not None and initializer.output_axes is not None:
        both = initializer.input_axes, initializer.output_axes
        fans = [math.prod(shape[axis] for axis in axes) for axes in both]
    elif len(shape) < 2:
        fans = [math.prod(shape)] * 2
    else:
        fans = [math.prod(shape[:-2]) * count for count in shape[-2:]]
    return {"fan_in": fans[0], "fan_out": fans[1], "fan_avg": sum(fans) / 2.0}[initializer.mode]
