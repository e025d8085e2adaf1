"""What is made of a network's logits in tests: one guess, five of them, or all probabilities."""

from dataclasses import dataclass

import numpy as np

from repro.lazy import keras
from repro.networks.losses import SoftmaxCrossEntropy

TOP_5_FROM = 100  # classes; of so many, the error of five guesses is measured too


@dataclass(frozen=True)
class FiveGuesses(SoftmaxCrossEntropy):
    """Cross entropy, with the five most probable classes as the prediction."""

    def predict(self, logits):
        return keras.ops.top_k(logits, 5)[1]


@dataclass(frozen=True)
class LogProbabilities(SoftmaxCrossEntropy):
    """Cross entropy, with the logs of all probabilities as the prediction: for means of several."""

    def predict(self, logits):
        return keras.ops.log_softmax(logits)


def of_logs(logs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses [n] and predictions [n], or [n, 5], of the logs of probabilities [n, classes].

    The same as the loss of a network gives of its logits; of equally probable classes the first
    comes first.
    """
    losses = -logs[np.arange(len(labels)), labels].astype("float64")
    if logs.shape[1] < TOP_5_FROM:
        return losses, np.argmax(logs, axis=1)
    return losses, np.argsort(-logs, axis=1, kind="stable")[:, :5]
