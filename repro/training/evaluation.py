"""The papers' test protocols. Every image is scored exactly once, and the count is asserted."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from repro import backends
from repro.data import photographs
from repro.errors import UsageError
from repro.lazy import keras
from repro.networks.losses import AuxiliaryCrossEntropy, SoftmaxCrossEntropy
from repro.networks.work import multiply_adds
from repro.prefetch import prefetched
from repro.training import guesses, protocols
from repro.training.whole import Whole

BATCH = 200  # views at once, at most
BATCH_WORK = 2e11  # multiply-adds at once, at most: a second or two on two cores
CALL_WORK = 5e12  # multiply-adds in one call of a loop, at most: a second or two on a GPU

# Which images, and of each its loss and its predictions.
Scored = Generator[tuple[slice | np.ndarray, np.ndarray, np.ndarray], None, None]


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

    def over(self, images: np.ndarray, labels: np.ndarray) -> Scored:
        """All of them, from the host."""
        starts = range(0, len(labels), self.batch)
        parts = (slice(first, min(first + self.batch, len(labels))) for first in starts)
        # The next photographs are decoded while these are scored.
        with closing(prefetched((part, images[part]) for part in parts)) as made:
            for part, some in made:
                yield part, *self(some, labels[part])


@dataclass(frozen=True)
class WholeScorer:
    """Scores photographs by a protocol on whole ones, as `Scorer` does images of one size."""

    tested: Whole
    views: int
    probabilities: bool

    def over(self, images: photographs.Lazily, labels: np.ndarray) -> Scored:
        """All of them, in an order of their own."""
        with closing(self.tested.over(images, len(labels))) as made:
            for numbers, logs in made:
                losses, predictions = guesses.of_logs(logs, labels[numbers])
                yield numbers, losses, logs if self.probabilities else predictions


def scorer(
    model: Any, loss: Any, protocol: str = "single-view", probabilities: bool = False
) -> Scorer | WholeScorer:
    """Scores images by `protocol`. The network is compiled.

    Images may be larger than it takes; which views of them it sees is the protocol's. Auxiliary
    classifiers have no part in it. Of a hundred classes or more the five most probable ones are
    predicted; or, where `probabilities` are asked for, the logs of those of all classes, of any
    number. Raises UsageError where views are to be averaged and the network gives no softmax, or
    takes other images than the protocol has.
    """
    chosen = protocols.parse(protocol)
    model, loss = tested(model, loss)
    taken, views = model.input_shape[1:], chosen.views
    work = max(1, multiply_adds(model))
    averaging = isinstance(loss, SoftmaxCrossEntropy)
    if not averaging and (views > 1 or probabilities):
        raise UsageError(
            f"protocol {protocol} averages the softmax of views, {model.name} has none; "
            "accepted here: single-view"
            if views > 1
            else f"{model.name} has no softmax to be averaged with that of other networks"
        )
    protocols.check_fit(chosen, model)
    at_once = max(1, min(BATCH, int(BATCH_WORK / work)))
    if chosen.whole:
        return WholeScorer(Whole(model, chosen, at_once), views, probabilities)
    batch = max(1, at_once // views)
    calls = max(1, int(CALL_WORK / (work * views * batch)))
    if probabilities:
        loss = guesses.LogProbabilities()
    elif averaging and model.output_shape[-1] >= guesses.TOP_5_FROM:
        loss = guesses.FiveGuesses()
    if views > 1:
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


def tested(model: Any, loss: Any) -> tuple[Any, Any]:
    """The part of a network that is tested, and its loss: without auxiliary classifiers."""
    if not isinstance(loss, AuxiliaryCrossEntropy):
        return model, loss
    own = keras.Model(model.inputs, model.get_layer(loss.own).output, name=model.name)
    return own, SoftmaxCrossEntropy()


def averaged(model, views: int):
    """The network on several views of each image: [batch, views, ...] -> logits [batch, classes].

    Their softmax is the mean of those of the views.
    """
    from repro.networks.convolutional import mean_softmax

    ops = keras.ops
    inputs = keras.Input((views, *model.input_shape[1:]))
    logits = model(ops.reshape(inputs, (-1, *model.input_shape[1:])))
    each = ops.reshape(ops.cast(logits, "float32"), (-1, views, model.output_shape[-1]))
    return keras.Model(inputs, mean_softmax(each, axis=1))


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

    def __iter__(self) -> Scored:
        for part, images, labels in self._parts:
            count, scored = part.stop - part.start, self._score.loop(images, labels)
            losses, predictions = map(keras.ops.convert_to_numpy, scored)
            predictions = predictions.reshape(-1, *predictions.shape[2:])
            yield part, losses.astype("float64").reshape(-1)[:count], predictions[:count]


Progress = Callable[[int, int], None]


def collected(
    score: Scorer | WholeScorer,
    images: Any,
    labels: np.ndarray,
    progress: Progress = lambda done, total: None,
    held: Held | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The losses [n] and the predictions [n, ...] of all of `images`, in their order.

    Each image is scored once, and the count is asserted. Other arguments: see `evaluate`.
    """
    total, order, losses, predictions = len(labels), [], [], []
    with closing(iter(held or score.over(images, labels))) as scored:
        for part, some_losses, some_predictions in scored:
            order.append(np.arange(total)[part])
            losses.append(some_losses)
            predictions.append(some_predictions)
            progress(sum(map(len, losses)), total)
    predicted = np.concatenate(predictions)
    if len(predicted) != total:
        raise AssertionError(f"{len(predicted)} images were scored, there are {total}")
    places = np.argsort(np.concatenate(order))
    if not np.array_equal(np.concatenate(order)[places], np.arange(total)):
        raise AssertionError(f"some of {total} images were scored more than once")
    return np.concatenate(losses)[places], predicted[places]


def evaluate(
    score: Scorer | WholeScorer,
    images: Any,
    labels: np.ndarray,
    progress: Progress = lambda done, total: None,
    held: Held | None = None,
) -> Scores:
    """What `score` makes of all of `images` [n, ...]; `held`, the same ones on the device.

    `progress(done, total)` is called after each batch, or each part of `held`, with numbers of
    images.
    """
    return scores(*collected(score, images, labels, progress, held), labels)


def scores(losses: np.ndarray, predictions: np.ndarray, labels: np.ndarray) -> Scores:
    """Of losses [n] and predictions [n], or [n, 5] with the most probable class first."""
    guessed = predictions.reshape(len(labels), -1)
    wrong = guessed[:, 0] != labels
    metrics = {
        "error": 100.0 * int(np.sum(wrong)) / len(labels),
        "loss": float(np.mean(losses)),
        "wrong": int(np.sum(wrong)),
        "count": len(labels),
    }
    if guessed.shape[1] == 5:
        missed = int(np.sum(np.all(guessed != labels[:, None], axis=1)))
        metrics |= {"top5_error": 100.0 * missed / len(labels), "top5_wrong": missed}
    return Scores(metrics, wrong, guessed[wrong, 0])


def of_logs(logs: np.ndarray, labels: np.ndarray) -> Scores:
    """Of the logs of probabilities [n, classes], in the order of the labels."""
    return scores(*guesses.of_logs(logs, labels), labels)
