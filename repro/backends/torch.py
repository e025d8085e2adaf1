"""PyTorch: one update after the other, on one device; nothing is compiled."""

import random

import numpy as np
import torch

from repro import backends
from repro.lazy import keras


def configure(batch: int) -> int | None:
    """One-example updates are too short to be shared between cores.

    float32 is float32, in name and in products: not TF32 on GPUs, not bfloat16 on CPUs.
    """
    torch.set_default_dtype(torch.float32)
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    torch.backends.mkldnn.conv.fp32_precision = "ieee"
    if batch >= backends.SMALL_BATCH:
        return None
    torch.set_num_threads(1)
    return 1


def devices() -> list[str]:
    """The one device that Keras takes."""
    kind = keras.ops.zeros(()).device.type
    return ["GPU:0" if kind == "cuda" else f"{kind.upper()}:0"]


def gpus() -> list[str]:
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def set_seed(seed: int) -> None:
    """`keras.utils.set_random_seed` would import TensorFlow wherever it is installed."""
    random.seed(seed)  # Keras' random layers draw their seeds from it
    np.random.seed(seed)
    torch.manual_seed(seed)


def set_compiled(whether: bool) -> None:
    """PyTorch calls one operation after the other anyway."""


def out_of_memory(error: Exception) -> bool:
    """On CPU the allocator raises a RuntimeError with words of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class Devices(backends.Devices):
    def compiler(self, batch: int, model) -> str:
        return "eager"

    def loop(self, model, optimizer, loss, batch, size, resident=None):
        variables, to_tensor = model.trainable_variables, keras.ops.convert_to_tensor
        held = tuple(map(to_tensor, resident.arrays())) if resident else ()
        seed = torch.initial_seed()

        def update(images, labels):
            # Keras' dropout takes torch's generator: a function of the update, or a resumed run
            # would drop others.
            torch.manual_seed(seed + int(optimizer.iterations))
            if resident:
                images = resident.look_up(held, images)
            if optimizer.by_gradients:
                outputs = model(images, training=True).float()
                losses = loss(outputs, labels).sum()
                steps = torch.autograd.grad(losses / batch, [v.value for v in variables])
            else:
                with torch.no_grad():
                    outputs, steps = optimizer.steps(model, images)
                    losses = loss(outputs, labels).sum()
            with torch.no_grad():
                optimizer.apply(steps, variables)
                return losses.detach(), (loss.predict(outputs) != labels).sum()

        def run(images, labels, before=0.0):
            losses, wrong = before, 0
            for some_images, some_labels in zip(images, labels, strict=True):
                more, errors = update(to_tensor(some_images), to_tensor(some_labels))
                losses, wrong = losses + more, wrong + errors
            return float(losses), int(wrong)

        return run


def pulled_back(function, inputs, signal):
    inputs = keras.ops.convert_to_tensor(inputs).requires_grad_()
    outputs = function(inputs)
    signal = keras.ops.convert_to_tensor(signal, outputs.dtype)
    return keras.ops.convert_to_numpy(torch.autograd.grad(outputs, inputs, signal)[0])


def scorer(model, loss):
    def score(images, labels):
        batch = map(keras.ops.convert_to_tensor, (images, labels))
        return [keras.ops.convert_to_numpy(scored) for scored in _scored(model, loss, *batch)]

    return score


@torch.no_grad()
def _scored(model, loss, images, labels):
    outputs = model(images, training=False).float()
    return loss(outputs, labels), loss.predict(outputs)


def scoring_loop(model, loss, seen):
    """Nothing is compiled; but the host waits for the device once only."""

    def loop(images, labels):
        scored = [_scored(model, loss, seen(x), y) for x, y in zip(images, labels, strict=True)]
        return [torch.stack(parts) for parts in zip(*scored, strict=True)]

    return loop
