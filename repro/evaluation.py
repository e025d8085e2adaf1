"""The papers' test protocols. Every image is scored exactly once, and the count is asserted."""

import numpy as np

from repro import backends
from repro.errors import unknown

PROTOCOLS = {
    "single-view": "each image once, as it is",
}
BATCH = 200


def check_protocol(name: str) -> None:
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)


def scorer(model, loss):
    """A compiled function images [n, ...], labels [n] -> (losses [n], predictions [n])."""
    return backends.here().scorer(model, loss)


def evaluate(score, images: np.ndarray, labels: np.ndarray) -> dict:
    """Error in per cent, mean loss, wrong and count, over all of `images` [n, ...]."""
    losses, predictions = [], []
    for first in range(0, len(images), BATCH):
        part = slice(first, first + BATCH)
        some_losses, some_predictions = score(images[part], labels[part])
        losses.append(np.asarray(some_losses, "float64"))
        predictions.append(np.asarray(some_predictions))
    predicted = np.concatenate(predictions)
    if len(predicted) != len(labels):
        raise AssertionError(f"{len(predicted)} images were scored, there are {len(labels)}")
    wrong = int(np.sum(predicted != labels))
    return {
        "error": 100.0 * wrong / len(labels),
        "loss": float(np.mean(np.concatenate(losses))),
        "wrong": wrong,
        "count": len(labels),
    }
