"""The papers' test protocols. Every image is scored exactly once, and the count is asserted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
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
TOP_5_FROM = 100  # classes; of so many, the error of five guesses is measured too


def check_protocol(name: str) -> None:
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)


@dataclass(frozen=True)
class Scorer:
    """Calls `score` on images [n, height, width, channels], labels [n], n up to `batch`.

    It returns losses [n] and predictions [n], or [n, 5] where five guesses are made, the most
    probable one first.
    """

    score: Callable[[np.ndarray, np.ndarray], tuple]
    batch: int
    views: int = 1

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
    batch = max(1, min(BATCH, int(BATCH_WORK / max(1, multiply_adds(model)))) // views)
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
        score_views = backends.here().scorer(averaged(model, views), loss)

        def score_ten(images, labels):
            views = photographs.ten_crop(images, taken[0])  # [10, n, ...]
            return score_views(np.moveaxis(views, 0, 1), labels)

        return Scorer(score_ten, batch, views)
    score = backends.here().scorer(model, loss)

    def score_one(images, labels):
        whole = images.shape[1:] == taken
        return score(images if whole else photographs.centre_crop(images, taken[0]), labels)

    return Scorer(score_one, batch)


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


def evaluate(
    score: Scorer,
    images: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """What `score` makes of all of `images` [n, ...].

    `progress(done, total)` is called after each batch, with numbers of images.
    """
    losses, predictions = [], []
    for first in range(0, len(labels), score.batch):
        part = slice(first, min(first + score.batch, len(labels)))
        some_losses, some_predictions = score(images[part], labels[part])
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
