"""What `repro.bench` times on Keras and TensorFlow: one function per contender, one per process.

Each takes the seconds to be timed, after a warm-up of its own, and returns a sample (see
`repro.bench.contenders`). On a machine with a GPU all of them use the first one.
"""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from repro import backends, catalog, spec
from repro.bench.contenders import BATCH, EXPERIMENT, PARAMETERS
from repro.bench.timing import Clock
from repro.data import datasets, preprocessing
from repro.errors import Interrupted
from repro.networks import optimizers
from repro.records import tracking
from repro.records.journal import Journal
from repro.training import evaluation, schedule, stop, training

WARM_UP, SEGMENT = 10, 10  # updates
# Updates in one call of the compiled loop: as many as the harness makes on a CPU.
CHUNK = schedule.chunk_updates(BATCH, 4 * 32 * 32 * 3, [50_000 // BATCH])


def device() -> str:
    """Where TensorFlow computes: the name of the GPU, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10's training images, preprocessed, float32 [50000, 32, 32, 3], and labels, int32.

    TensorFlow is set up as the harness does it: float32 in full precision, also on a GPU.
    """
    backends.here().configure(BATCH)
    recipe = catalog.experiment(EXPERIMENT).recipe
    data = datasets.load(recipe.data.dataset, recipe.data.train)
    images = preprocessing.apply(preprocessing.fit(recipe.preprocessing, data.images), data.images)
    return images, np.array(data.labels, np.int32)


# ---------------------------------------------------------------------------- the harness


def harness(seconds: float, precision: str, experiment: str = EXPERIMENT) -> dict:
    """A training as `repro run` makes it, stopped when its time is over; then what a pass costs.

    Beside the sample, `costs` and `cadence` of `repro.bench.summary.combined_rate`.
    """
    from repro.bench import place

    described = catalog.experiment(experiment)
    clock, asked = Clock(seconds), stop.Stop()
    observers = [stopping(clock, described.recipe.batch)]
    trained = training.Training(described, request(described, precision), observers, asked)
    with tempfile.TemporaryDirectory() as out:
        journal = Journal.create(out, described.name, "paper", 0)
        with journal.alone():
            trained.open(journal)
            with contextlib.suppress(Interrupted), asked:
                trained.train()
            sample = clock.sample(device=device())
            costs = costs_of_a_pass(trained)
    return {**sample, "costs": costs, "cadence": place.cadence(described)}


def request(experiment: spec.Experiment, precision: str) -> dict:
    """What `runner.run` would ask for, on a single device."""
    return {
        "experiment": experiment.name,
        "scale": "paper",
        "seed": 0,
        "overrides": [],
        "strategy": "single",
        "precision": precision,
    }


def stopping(clock: Clock, batch: int) -> Callable[[dict], None]:
    """Observes a training: times its calls and asks it to stop, as Ctrl-C does.

    The first chunk compiles. The first of a pass also waits for its images, which counts among the
    costs of a pass.
    """
    last: dict = {}

    def progress(event: dict) -> None:
        if event["event"] != "progress":
            return
        try:
            if not last:
                clock.start()
            elif last["pass"] != event["pass"]:
                clock.skip()
            elif not clock.lap((event["update"] - last["update"]) * batch):
                signal.raise_signal(signal.SIGTERM)
        except (OSError, Interrupted):  # whoever gives the turns is gone
            signal.raise_signal(signal.SIGTERM)
        last.update(event)

    return progress


def costs_of_a_pass(trained: training.Training) -> dict[str, float]:
    """What a pass costs beside its updates: see `repro.bench.summary.combined_rate`."""
    images, labels = trained.inputs.test_images[:4000], trained.inputs.test_labels[:4000]
    score, schedule = trained.scoring.scorer(trained.experiment.protocols[0]), trained.schedule
    evaluation.evaluate(score, images[:400], labels[:400])  # compiles
    scoring = timed(lambda: evaluation.evaluate(score, images, labels))

    def first_chunk() -> None:
        stream = trained.batches.stream(trained.state.update, schedule.last, schedule.chunk)
        next(stream)
        chunks.append(stream)  # closing it waits for the thread that makes the next chunks

    def line() -> None:
        number = len(trained.journal.passes()) + 1
        fields = ("loss", "running_error", "test_error", "test_loss", "rate_min", "rate_max")
        facts = {"pass": number, "update": trained.schedule.last + number}
        facts |= dict.fromkeys(fields, 1.0)
        trained.journal.append({**facts, "images_per_second": 1.0, "seconds": 1.0})

    chunks: list = []
    costs = {"scoring": len(images) / scoring}
    costs["first_chunk"] = timed(first_chunk)
    for stream in chunks:
        stream.close()
    costs["checkpoint"] = median(timed(trained.keeper.save) for _ in range(3))
    lines, logs = [], []
    for _ in range(3):
        lines.append(timed(line))
        logs.append(timed(lambda: tracking.sync(trained.journal.path)))
    # The first call makes the store and the run in it, once.
    return costs | {"line": median(lines), "tracking": median(logs[1:])}


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pipeline(seconds: float, experiment: str = EXPERIMENT) -> dict:
    """The harness' batches, cropped and mirrored, taken as fast as they are made."""
    described = catalog.experiment(experiment)
    trained = training.Training(described, request(described, "float32"))
    clock = None
    while True:  # a training is soon over for the pipeline alone
        stream = trained.batches.stream(0, trained.schedule.last, trained.schedule.chunk)
        for _ in range(4):  # three are made ahead
            next(stream)
        clock = clock or Clock(seconds)
        clock.skip()
        for _, labels in stream:
            if not clock.lap(labels.size):
                return clock.sample(device="CPU")


# ---------------------------------------------------------------------------- plain Keras


def stock() -> keras.Model:
    """ResNet-20 as a user of Keras would write it, for `fit`: stock layers and optimizer."""
    recipe = catalog.experiment(EXPERIMENT).recipe.optimizer
    decay = keras.regularizers.L2(recipe.weight_decay / 2)

    def convolution(x, maps: int, stride: int = 1):
        x = keras.layers.Conv2D(
            maps,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=decay,
        )(x)
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    images = keras.Input((32, 32, 3))
    x = keras.layers.ReLU()(convolution(images, 16))
    for maps in (16, 32, 64):
        for _ in range(3):
            wider = maps - x.shape[-1]
            y = keras.layers.ReLU()(convolution(x, maps, 2 if wider else 1))
            y = convolution(y, maps)
            if wider:
                x = keras.ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, wider)))
            x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(10, kernel_regularizer=decay)(x))
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Stopwatch(keras.callbacks.Callback):
    """Times segments of updates in `fit` and ends it when the time is over."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock, self.updates, self.started = clock, 0, False

    def on_epoch_begin(self, epoch, logs=None):
        if self.updates > WARM_UP:  # no segment lies over the end of an epoch
            self.updates = WARM_UP
            self.clock.skip()

    def on_train_batch_end(self, batch, logs=None):
        self.updates += 1
        if self.updates < WARM_UP or (self.updates - WARM_UP) % SEGMENT:
            return
        wait_for(self.model)
        if not self.started:
            self.clock.start()
            self.started = True
        elif not self.clock.lap(SEGMENT * BATCH):
            self.sample = self.clock.sample(device=device())
            self.model.stop_training = True


def wait_for(model: keras.Model) -> None:
    """Returns once the last update is done: on a GPU it may still be under way."""
    model.trainable_variables[-1].numpy()


def fit(seconds: float) -> dict:
    """`fit` on arrays. `end_seconds`: what it takes to return after the last segment."""
    images, labels = arrays()
    model = stock()
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == PARAMETERS
    watch = Stopwatch(Clock(seconds))
    model.fit(images, labels, batch_size=BATCH, epochs=1000, verbose=0, callbacks=[watch])
    return {**watch.sample, "end_seconds": watch.clock.since_end()}


def epoch(seconds: float) -> dict:
    """One whole epoch of `fit`, from call to return; another until the time is over."""
    images, labels = arrays()
    model = stock()
    some = WARM_UP * BATCH
    model.fit(images[:some], labels[:some], batch_size=BATCH, verbose=0)
    clock, more = Clock(seconds), True
    while more:
        model.fit(images, labels, batch_size=BATCH, verbose=0)
        wait_for(model)
        more = clock.lap(len(images))
    return clock.sample(device=device())


# ---------------------------------------------------------------------------- the bare loop


def bare(seconds: float) -> dict:
    """The harness' network and optimizer in the smallest compiled loop, over batches in memory."""
    experiment = catalog.experiment(EXPERIMENT)
    images, labels = arrays()
    model = experiment.network.build(**experiment.network.options)
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == PARAMETERS
    optimizer = optimizers.build(experiment.recipe.optimizer)
    optimizer.build(model.trainable_variables)
    optimizer.learning_rate.assign(experiment.recipe.optimizer.rate)
    count = CHUNK * BATCH
    chunks = [
        (
            tf.constant(images[first : first + count].reshape(CHUNK, BATCH, 32, 32, 3)),
            tf.constant(labels[first : first + count].reshape(CHUNK, BATCH)),
        )
        for first in range(0, len(images) - count, count)
    ]

    @tf.function
    def loop(images, labels):
        total = 0.0
        for i in tf.range(CHUNK):
            with tf.GradientTape() as tape:
                outputs = model(images[i], training=True)
                loss = tf.reduce_mean(experiment.recipe.loss(outputs, labels[i]))
            variables = [v.value for v in model.trainable_variables]
            optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
            total += loss
        return total

    float(loop(*chunks[0]))
    clock, more, number = Clock(seconds), True, 0
    while more:
        number += 1
        float(loop(*chunks[number % len(chunks)]))
        more = clock.lap(count)
    return clock.sample(device=device())


# ---------------------------------------------------------------------------- the machine's limit


def product(seconds: float, precision: str) -> dict:
    """Products of two large square matrices, in 10^9 operations (two per multiply-add)."""
    backends.here().configure(BATCH)
    size, times = (2048, 4) if device() == "CPU" else (8192, 32)

    @tf.function
    def products(a, b):
        for _ in tf.range(times):
            b = tf.matmul(a, b)
        return tf.reduce_sum(tf.cast(b[:1], "float32"))

    # The entries stay in range: each product multiplies their size by one, roughly.
    draw = tf.random.stateless_normal((2, size, size), seed=(0, 0)) / size**0.5
    a, b = tf.unstack(tf.cast(draw, precision))
    float(products(a, b))
    clock, more = Clock(seconds), True
    while more:
        float(products(a, b))
        more = clock.lap(times * 2e-9 * size**3)
    return clock.sample(device=device())
