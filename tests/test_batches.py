"""The stream of a run: complete passes, keyed by (seed, pass), the same however it is cut."""

import threading
import time

import numpy as np
import pytest

from repro.data.batches import Batches
from repro.data.distortion import DistortedCopies
from repro.errors import UsageError

N = 50


def numbered(n=N):
    """Images that show their own number, which is also their label."""
    return np.arange(n, dtype=np.float32)[:, None, None, None] * np.ones((1, 4, 4, 1), np.float32)


def batches(batch=1, seed=0, **more):
    return Batches(numbered(), np.arange(N), batch, seed, **more)


def order(stream, passes):
    """Labels in the order of the stream, [passes, size]; needs size % batch == 0."""
    updates = passes * stream.size // stream.chunk(0, 1)[1].shape[1]
    return stream.chunk(0, updates)[1].reshape(passes, stream.size)


@pytest.mark.parametrize("batch", [1, 5, 50, 100])
def test_every_example_exactly_once_in_each_pass(batch):
    for labels in order(batches(batch), 4):
        assert sorted(labels) == list(range(N))


def test_a_batch_that_does_not_divide_the_set_spans_passes():
    labels = batches(7).chunk(0, 50)[1].ravel()  # 350 positions, seven passes
    for seen in labels.reshape(7, N):
        assert sorted(seen) == list(range(N))


def test_images_and_labels_stay_together():
    images, labels = batches(10).chunk(3, 8)
    assert images.shape == (8, 10, 4, 4, 1)
    assert labels.shape == (8, 10)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(images[..., 0, 0, 0], labels)


def test_each_pass_and_each_seed_has_its_own_order():
    orders = [tuple(o) for seed in range(3) for o in order(batches(seed=seed), 3)]
    assert len(set(orders)) == 9
    assert tuple(range(N)) not in orders


def test_the_order_does_not_depend_on_the_size_of_the_batch():
    np.testing.assert_array_equal(order(batches(1), 2), order(batches(10), 2))


def test_a_pass_is_the_same_without_the_passes_before_it():
    whole = order(batches(5), 6)
    np.testing.assert_array_equal(batches(5).chunk(5 * 10, 10)[1].ravel(), whole[5])


def test_any_image_may_come_at_any_place():
    first = [batches(seed=seed).chunk(0, 1)[1].item() for seed in range(400)]
    # 400 draws of 50 leave each out with a probability of 0.0003.
    assert len(set(first)) >= N - 1


@pytest.mark.parametrize("augmentation", [None, DistortedCopies(copies=2)])
@pytest.mark.parametrize("chunk_updates", [1, 3, 10, 64])
def test_a_chunk_does_not_depend_on_how_the_stream_was_cut(augmentation, chunk_updates):
    more = {"augmentation": augmentation, "fill": -0.1}
    images, labels = batches(7, **more).chunk(0, 64)
    pieces = list(batches(7, **more).stream(0, 64, chunk_updates))
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), images)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), labels)
    again = batches(7, **more)
    again.chunk(40, 3)  # what was asked for before has no influence
    np.testing.assert_array_equal(again.chunk(11, 5)[0], images[11:16])


def test_an_augmented_pass_goes_through_all_copies():
    augmented = batches(1, augmentation=DistortedCopies(copies=2))
    assert augmented.size == 3 * N
    for labels in order(augmented, 2):
        np.testing.assert_array_equal(np.bincount(labels), np.full(N, 3))


def test_augmentation_is_told_the_pass_of_each_example():
    class Noting:
        def size(self, originals):
            return 2 * originals

        def __call__(self, images, draw):
            assert (draw.originals, draw.seed, draw.fill) == (N, 3, 0.5)
            assert (images[:, 0, 0, 0] == draw.index % N).all()
            seen.append((draw.pass_number, draw.index.tolist()))
            return images

    seen = []
    stream = batches(30, seed=3, augmentation=Noting(), fill=0.5)
    seen.clear()  # it has asked for the shape of an example
    stream.chunk(0, 10)  # 300 of 100 a pass
    assert [number for number, _ in seen] == [0, 1, 2]
    for _, index in seen:
        assert sorted(index) == list(range(100))


def test_stream_gives_the_remainder_last_and_may_be_empty():
    assert [len(labels) for _, labels in batches().stream(5, 16, 4)] == [4, 4, 3]
    assert list(batches().stream(5, 5, 4)) == []


def running():
    return [t for t in threading.enumerate() if t.name.startswith("repro-batches")]


def test_a_stream_left_early_ends_its_thread():
    stream = batches().stream(0, 10_000, 1)
    next(stream)
    assert len(running()) == 1
    stream.close()
    assert running() == []


def test_an_error_in_the_thread_reaches_the_consumer():
    class Failing(DistortedCopies):
        def __call__(self, images, draw):
            if draw.pass_number == 1:
                raise MemoryError("no room")
            return images

    stream = batches(10, augmentation=Failing(copies=1)).stream(0, 100, 5)
    with pytest.raises(MemoryError, match="no room"):
        for _ in stream:
            pass
    assert running() == []


def test_a_stream_is_made_a_little_ahead_and_no_more():
    """Three chunks beside the one that is trained on: memory for them is what a run needs."""
    made = []

    class Noting(DistortedCopies):
        def __call__(self, images, draw):
            made.append(len(images))
            return images

    stream = batches(10, augmentation=Noting(copies=1)).stream(0, 100, 1)
    made.clear()
    for taken in range(1, 4):
        next(stream)
        deadline = time.monotonic() + 10
        while len(made) < taken + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)  # more would be made in this time
        assert len(made) == taken + 3
    stream.close()


@pytest.mark.parametrize(
    ("batch", "seed", "n"), [(0, 0, N), (1, -1, N), (1, 2**32, N), (1, 10**30, N), (1, 0, N - 1)]
)
def test_what_makes_no_stream_is_refused(batch, seed, n):
    with pytest.raises(UsageError):
        Batches(numbered(), np.arange(n), batch, seed)
