"""What was learnt is kept, and learnt by one of those that need it at the same time."""

import threading

import numpy as np
import pytest

from repro.data import learnt
from repro.locks import locked


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    return tmp_path / "prepared"


def kept(learn):
    return learnt.kept("mean-0123456789abcdef", {"mean": (2,)}, np.float64, learn)


def test_of_two_that_need_it_one_learns_and_the_other_waits(folder):
    begun, on = threading.Event(), threading.Event()
    learnt_by = []

    def learn(name):
        begun.set()
        assert on.wait(30)
        learnt_by.append(name)
        return {"mean": np.array([1.0, 2.0])}

    found = {}
    pair = [
        threading.Thread(target=lambda n=n: found.update({n: kept(lambda: learn(n))}))
        for n in ("first", "second")
    ]
    pair[0].start()
    assert begun.wait(30)
    pair[1].start()
    pair[1].join(0.3)
    assert pair[1].is_alive()
    on.set()
    for thread in pair:
        thread.join(30)
    assert learnt_by == ["first"]
    assert [found[n]["mean"].tolist() for n in ("first", "second")] == [[1, 2], [1, 2]]
    assert [path.name for path in folder.iterdir()] == ["mean-0123456789abcdef.npz"]


def test_who_fails_lets_the_next_one_learn(folder):
    with pytest.raises(ZeroDivisionError):
        kept(lambda: 1 / 0)
    assert kept(lambda: {"mean": np.zeros(2)})["mean"].tolist() == [0, 0]
    assert [path.name for path in folder.iterdir()] == ["mean-0123456789abcdef.npz"]


def test_who_waits_in_vain_learns_all_the_same(folder, monkeypatch):
    monkeypatch.setattr(learnt, "WAIT", 0.0)
    folder.mkdir()
    with locked(folder, "mean-0123456789abcdef.lock"):
        assert kept(lambda: {"mean": np.ones(2)})["mean"].tolist() == [1, 1]
