"""The papers' test protocols. Every image is scored exactly once, and the count is asserted."""

import math

import numpy as np

from repro import backends
from repro.data import photographs
from repro.errors import UsageError, unknown
from repro.lazy import keras
from repro.networks.losses import AuxiliaryCrossEntropy, SoftmaxCrossEntropy

PROTOCOLS = {
    "single-view": "each image once, as it is, or the centre of one larger than the network takes",
    "10-crop": "the mean softmax of the four corners, the centre, and their mirror images",
}
BATCH = 200
TOP_5_FROM = 100  # classes; of so many, the error of five guesses is measured too


def check_protocol(name: str) -> None:
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)


def scorer(model, loss, protocol="single-view"):
    """A function images [n, height, width, channels], labels [n] -> (losses [n], predictions [n]).

    The network is compiled. Images may be larger than it takes; which views of them it sees is the
    protocol's. Auxiliary classifiers have no part in it. Of a hundred classes or more the five most
    probable ones are predicted: [n, 5], the first one first. Raises UsageError where views are to
    be averaged and the network gives no softmax.
    """
    check_protocol(protocol)
    taken = model.input_shape[1:]
    if isinstance(loss, AuxiliaryCrossEntropy):
        model = keras.Model(model.inputs, model.get_layer(loss.own).output, name=model.name)
        loss = SoftmaxCrossEntropy()
    averaging = isinstance(loss, SoftmaxCrossEntropy)
    if averaging and model.output_shape[-1] >= TOP_5_FROM:
        loss = FiveGuesses()
    if protocol == "10-crop":
        if not averaging:
            raise UsageError(
                f"--protocol {protocol} averages the softmax of views, {model.name} has none; "
                "accepted here: single-view"
            )
        score_views = backends.here().scorer(averaged(model, 10), loss)

        def score_some(images, labels):
            views = photographs.ten_crop(images, taken[0])  # [10, n, ...]
            return score_views(np.moveaxis(views, 0, 1), labels)

        def score_ten(images, labels):
            """As many views at once as other protocols have images."""
            parts = [slice(i, i + BATCH // 10) for i in range(0, len(images), BATCH // 10)]
            scored = [score_some(images[part], labels[part]) for part in parts]
            return [np.concatenate([np.asarray(x) for x in xs]) for xs in zip(*scored, strict=True)]

        return score_ten
    score = backends.here().scorer(model, loss)

    def score_one(images, labels):
        whole = images.shape[1:] == taken
        return score(images if whole else photographs.centre_crop(images, taken[0]), labels)

    return score_one


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


def evaluate(score, images: np.ndarray, labels: np.ndarray) -> dict:
    """Error in per cent, mean loss, wrong and count, over all of `images` [n, ...].

    Where `score` predicts five classes, also top5_error and top5_wrong: none of them is the label.
    """
    losses, predictions = [], []
    for first in range(0, len(images), BATCH):
        part = slice(first, first + BATCH)
        some_losses, some_predictions = score(images[part], labels[part])
        losses.append(np.asarray(some_losses, "float64"))
        predictions.append(np.asarray(some_predictions))
    predicted = np.concatenate(predictions)
    if len(predicted) != len(labels):
        raise AssertionError(f"{len(predicted)} images were scored, there are {len(labels)}")
    guesses = predicted.reshape(len(labels), -1)
    wrong = int(np.sum(guesses[:, 0] != labels))
    found = {
        "error": 100.0 * wrong / len(labels),
        "loss": float(np.mean(np.concatenate(losses))),
        "wrong": wrong,
        "count": len(labels),
    }
    if guesses.shape[1] == 5:
        missed = int(np.sum(np.all(guesses != labels[:, None], axis=1)))
        found |= {"top5_error": 100.0 * missed / len(labels), "top5_wrong": missed}
    return found
