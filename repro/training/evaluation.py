"""The papers' test protocols. Every image is scored exactly once, and the count is asserted."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from repro import backends
from repro.data import photographs
from repro.errors import UsageError, unknown
from repro.lazy import keras
from repro.networks.losses import AuxiliaryCrossEntropy, SoftmaxCrossEntropy
from repro.networks.work import multiply_adds


@dataclass(frozen=True)
class Protocol:
    """How a trained network is tested: by how many views of each image, and which."""

    views: int
    text: str


PROTOCOLS = {
    "single-view": Protocol(
        1, "each image once, as it is, or the centre of one larger than the network takes"
    ),
    "10-crop": Protocol(
        10, "the mean softmax of the four corners, the centre, and their mirror images"
    ),
}
BATCH = 200  # views at once, at most
BATCH_WORK = 2e11  # multiply-adds at once, at most: a second or two on two cores
CALL_WORK = 5e12  # multiply-adds in one call of a loop, at most: a second or two on a GPU
TOP_5_FROM = 100  # classes; of so many, the error of five guesses is measured too


def check_protocol(name: str) -> None:
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)


@dataclass(frozen=True)
class Scorer:
    """Calls `score` on images [n, height, width, channels], labels [n], n up to `batch`.

    It returns losses [n] and predictions [n], or [n, 5] where five guesses are made, the most
    probable one first. `loop` does so for images [k, n, ...], labels [k, n] that lie on the device,
    k up to `calls`, in one call.
    """

    score: Callable[[np.ndarray, np.ndarray], tuple]
    batch: int
    views: int = 1
    loop: Callable[[Any, Any], tuple] | None = None
    calls: int = 1

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        losses, predictions = self.score(images, labels)
        return np.asarray(losses, "float64"), np.asarray(predictions)


def scorer(model: Any, loss: Any, protocol: str = "single-view") -> Scorer:
    """Scores images by `protocol`. The network is compiled.

    Images may be larger than it takes; which views of them it sees is the protocol's. Auxiliary
    classifiers have no part in it. Of a hundred classes or more the five most probable ones are
    predicted. Raises UsageError where views are to be averaged and the network gives no softmax.
    """
    check_protocol(protocol)
    taken, views = model.input_shape[1:], PROTOCOLS[protocol].views
    work = max(1, multiply_adds(model))
    batch = max(1, min(BATCH, int(BATCH_WORK / work)) // views)
    calls = max(1, int(CALL_WORK / (work * views * batch)))
    if isinstance(loss, AuxiliaryCrossEntropy):
        model = keras.Model(model.inputs, model.get_layer(loss.own).output, name=model.name)
        loss = SoftmaxCrossEntropy()
    averaging = isinstance(loss, SoftmaxCrossEntropy)
    if averaging and model.output_shape[-1] >= TOP_5_FROM:
        loss = FiveGuesses()
    if views > 1:
        if not averaging:
            raise UsageError(
                f"--protocol {protocol} averages the softmax of views, {model.name} has none; "
                "accepted here: single-view"
            )
        model = averaged(model, views)

    def seen(images, ops=np):
        """The views of the protocol."""
        if views > 1:
            return photographs.ten_crop(images, taken[0], ops)
        whole = tuple(images.shape[1:]) == taken
        return images if whole else photographs.centre_crop(images, taken[0])

    score = backends.here().scorer(model, loss)
    loop = backends.here().scoring_loop(model, loss, partial(seen, ops=keras.ops))
    return Scorer(lambda images, labels: score(seen(images), labels), batch, views, loop, calls)


class FiveGuesses(SoftmaxCrossEntropy):
    """Cross entropy, with the five most probable classes as the prediction."""

    def predict(self, logits):
        return keras.ops.top_k(logits, 5)[1]


def averaged(model, views: int):
    """The network on several views of each image: [batch, views, ...] -> logits [batch, classes].

    Their softmax is the mean of those of the views.
    """
    ops = keras.ops
    inputs = keras.Input((views, *model.input_shape[1:]))
    logits = model(ops.reshape(inputs, (-1, *model.input_shape[1:])))
    each = ops.reshape(ops.cast(logits, "float32"), (-1, views, model.output_shape[-1]))
    summed = ops.logsumexp(ops.log_softmax(each), axis=1)
    return keras.Model(inputs, summed - math.log(views))


@dataclass(frozen=True, eq=False)
class Scores:
    """What a test found.

    metrics: error in per cent, mean loss, wrong and count. Where five classes are predicted, also
    top5_error and top5_wrong: none of them is the label. wrong: bool [n], which images are;
    guesses: int, for what each of these was taken.
    """

    metrics: dict[str, float]
    wrong: np.ndarray
    guesses: np.ndarray


class Held:
    """Images [n, ...] and their labels [n] on the device, in parts that one call scores each."""

    def __init__(self, score: Scorer, images: np.ndarray, labels: np.ndarray):
        batches = -(-len(labels) // score.batch)
        calls = -(-batches // score.calls)
        size = -(-batches // calls) * score.batch
        self._score, self._parts = score, []
        for first in range(0, len(labels), size):
            part = slice(first, min(first + size, len(labels)))
            placed = [self._placed(array[part], size) for array in (images, labels)]
            self._parts.append((part, *placed))

    def _placed(self, part: np.ndarray, size: int) -> Any:
        """[n, ...] -> [size / batch, batch, ...], zeros after the last of them."""
        whole = backends.padded(part, size)
        return keras.ops.convert_to_tensor(whole.reshape(-1, self._score.batch, *part.shape[1:]))

    def __iter__(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Which images, and of each its loss and its predictions."""
        for part, images, labels in self._parts:
            count, scored = part.stop - part.start, self._score.loop(images, labels)
            losses, predictions = map(keras.ops.convert_to_numpy, scored)
            predictions = predictions.reshape(-1, *predictions.shape[2:])
            yield part, losses.astype("float64").reshape(-1)[:count], predictions[:count]


def streamed(
    score: Scorer, images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """As `Held` does, from the host."""
    for first in range(0, len(labels), score.batch):
        part = slice(first, min(first + score.batch, len(labels)))
        yield part, *score(images[part], labels[part])


def evaluate(
    score: Scorer,
    images: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
    held: Held | None = None,
) -> Scores:
    """What `score` makes of all of `images` [n, ...]; `held`, the same ones on the device.

    `progress(done, total)` is called after each batch, or each part of `held`, with numbers of
    images.
    """
    losses, predictions = [], []
    for part, some_losses, some_predictions in held or streamed(score, images, labels):
        losses.append(some_losses)
        predictions.append(some_predictions)
        progress(part.stop, len(labels))
    predicted = np.concatenate(predictions)
    if len(predicted) != len(labels):
        raise AssertionError(f"{len(predicted)} images were scored, there are {len(labels)}")
    guesses = predicted.reshape(len(labels), -1)
    wrong = guesses[:, 0] != labels
    metrics = {
        "error": 100.0 * int(np.sum(wrong)) / len(labels),
        "loss": float(np.mean(np.concatenate(losses))),
        "wrong": int(np.sum(wrong)),
        "count": len(labels),
    }
    if guesses.shape[1] == 5:
        missed = int(np.sum(np.all(guesses != labels[:, None], axis=1)))
        metrics |= {"top5_error": 100.0 * missed / len(labels), "top5_wrong": missed}
    return Scores(metrics, wrong, guesses[wrong, 0])
