"""A state comes back bit for bit, or its damage is noticed and the one before it is used."""

import numpy as np
import pytest

from repro.errors import RunError
from repro.training import checkpoint

STATE = {"update": 7, "state": {"losses": 0.1 + 0.2, "wrong": 3, "rates": None}, "passes": 1}


def variables(seed):
    rng = np.random.default_rng(seed)
    few = [rng.normal(size=(3, 2)).astype("float32"), np.float64(1 / 3), np.array(5, "int64")]
    return few + [np.full(2, i, "float32") for i in range(12)]  # more than ten: order by name


def same(a, b):
    return len(a) == len(b) and all(
        x.dtype == np.asarray(y).dtype and x.tobytes() == np.asarray(y).tobytes()
        for x, y in zip(a, b, strict=True)
    )


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x01
    path.write_bytes(content)


@pytest.fixture
def two(tmp_path):
    """Two checkpoints: after 100 and after 200 updates."""
    return [checkpoint.save(tmp_path, u, variables(u), {**STATE, "update": u}) for u in (100, 200)]


def test_a_state_comes_back_bit_for_bit(tmp_path):
    values = variables(1)
    values[0][0] = [np.nan, -0.0]
    found, progress = checkpoint.load(checkpoint.save(tmp_path, 7, values, STATE))
    assert same(found, values)
    assert progress == STATE


def test_the_newest_is_taken_and_nothing_said(two, tmp_path):
    found, progress, warnings = checkpoint.latest(tmp_path)
    assert same(found, variables(200))
    assert progress["update"] == 200
    assert warnings == []


def test_the_newest_is_the_one_of_most_updates_whatever_its_digits(tmp_path):
    for update in (9, 10, 1_200_000):
        checkpoint.save(tmp_path, update, variables(update), {"update": update})
        assert checkpoint.latest(tmp_path)[1]["update"] == update


def test_the_last_two_are_kept(tmp_path):
    paths = [checkpoint.save(tmp_path, u, variables(u), STATE) for u in (100, 200, 300, 1000)]
    assert sorted(tmp_path.iterdir()) == sorted(paths[-2:])


# In the digest, the archive's first bytes, a file name, the weights, the directory at its end.
@pytest.mark.parametrize("part", [0.0, "digest", "archive", 0.1, 0.25, 0.5, 0.75, 0.9, "last"])
def test_a_flipped_byte_is_noticed_and_the_one_before_is_used(two, tmp_path, part):
    size = two[1].stat().st_size
    place = {"digest": 63, "archive": 65, "last": size - 1}.get(part) or int(size * (part or 0))
    flip(two[1], place)
    with pytest.raises(RunError, match="damaged"):
        checkpoint.load(two[1])
    found, progress, warnings = checkpoint.latest(tmp_path)
    assert same(found, variables(100))
    assert progress["update"] == 100
    (warning,) = warnings
    assert str(two[1]) in warning and "damaged" in warning


def test_a_flipped_byte_anywhere_is_noticed(tmp_path):
    """Every fifth byte of a small file, but for the line feed, which holds nothing."""
    path = checkpoint.save(tmp_path, 1, [np.arange(3.0)], {})
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        flip(path, place)
        with pytest.raises(RunError):
            checkpoint.load(path)
        path.write_bytes(whole)
    checkpoint.load(path)


@pytest.mark.parametrize("size", [0, 10, 64, 65, 200, -1])
def test_a_file_cut_short_is_noticed(two, tmp_path, size):
    two[1].write_bytes(two[1].read_bytes()[:size])
    assert checkpoint.latest(tmp_path)[1]["update"] == 100


def test_two_damaged_ones_are_both_named_and_nothing_is_made_up(two, tmp_path):
    for path in two:
        flip(path, 500)
    found, progress, warnings = checkpoint.latest(tmp_path)
    assert (found, progress) == ([], {})
    assert [str(p) in w for p, w in zip(two[::-1], warnings, strict=True)] == [True, True]


def test_without_a_checkpoint_nothing_is_made_up(tmp_path):
    assert checkpoint.latest(tmp_path) == ([], {}, [])
    assert checkpoint.latest(tmp_path / "not there") == ([], {}, [])


def test_what_a_crash_left_half_written_is_not_a_checkpoint(two, tmp_path):
    (tmp_path / ".update-000000300.ckpt.4711").write_bytes(b"half")
    assert checkpoint.latest(tmp_path)[1]["update"] == 200


def test_a_file_of_something_else_with_a_right_digest_is_refused(tmp_path):
    import hashlib
    import io

    content = io.BytesIO()
    np.savez(content, weights=np.zeros(3))
    for inner in (b"not an archive", content.getvalue()):
        path = tmp_path / "update-000000001.ckpt"
        path.write_bytes(hashlib.sha256(inner).hexdigest().encode() + b"\n" + inner)
        with pytest.raises(RunError, match="not a checkpoint"):
            checkpoint.load(path)
