"""What is kept of every test image, and what runs laid side by side say."""

import dataclasses
import itertools
import json
import math
import statistics

import numpy as np
import pytest
from run_records import experiment, record, seal_run

from repro.errors import RunError
from repro.judging import images as judging
from repro.records import documents, images, logged, reading
from repro.records.journal import Journal
from repro.records.shape import Damaged

ORDER = "a" * 64
TOY = experiment("toy")


def keeping(seed, wrong, guesses=None, order=ORDER, classes=10, **changes):
    """A run of TOY that got these of its test images wrong, and took them for class 1."""
    wrong = np.asarray(wrong, bool)
    guesses = np.ones(wrong.sum(), int) if guesses is None else np.asarray(guesses)
    made = record(TOY, seed, 100 * wrong.mean(), **changes)
    counts = {"test_wrong": int(wrong.sum()), "test_count": len(wrong)}
    made["result"]["metrics"]["single-view"] |= counts
    made["result"]["images"] = {"single-view": images.packed(wrong, guesses, classes, order)}
    return made


# ---------------------------------------------------------------------------- packed


def test_the_first_image_is_the_highest_bit_and_a_guess_is_a_byte():
    """By hand: 1000 0001 and 1... .... are 81 80; 3, 7, 9 are 03 07 09; base64 of RFC 4648."""
    wrong = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1], bool)
    kept = images.packed(wrong, np.array([3, 7, 9]), 10, ORDER)
    expected = {"order": ORDER, "count": 9, "classes": 10, "wrong": "gYA=", "guesses": "AwcJ"}
    assert kept == expected == json.loads(json.dumps(kept))


def test_from_257_classes_on_a_guess_is_two_bytes_the_lower_one_first():
    """By hand: 999 = 3 * 256 + 231 is e7 03; 255 in one byte is ff."""
    one = np.array([True])
    assert images.packed(one, np.array([999]), 1000, ORDER)["guesses"] == "5wM="
    assert images.packed(one, np.array([256]), 257, ORDER)["guesses"] == "AAE="
    assert images.packed(one, np.array([255]), 256, ORDER)["guesses"] == "/w=="


@pytest.mark.parametrize("count", [1, 7, 8, 9, 360, 10_000])
@pytest.mark.parametrize("classes", [10, 1000])
def test_what_is_packed_comes_out_again(count, classes):
    draw = np.random.default_rng(count)
    wrong = draw.random(count) < 0.3
    guesses = draw.integers(0, classes, wrong.sum())
    run = keeping(0, wrong, guesses, classes=classes)
    run = documents.whole_record(json.loads(json.dumps(run)))
    np.testing.assert_array_equal(images.wrong(run, "single-view"), wrong)
    np.testing.assert_array_equal(images.guesses(run, "single-view"), guesses)
    assert images.order(run, "single-view") == ORDER


def test_ten_thousand_images_take_a_kilobyte_and_a_quarter():
    kept = images.packed(np.zeros(10_000, bool), np.zeros(0, int), 10, ORDER)
    assert len(kept["wrong"]) == math.ceil(1250 / 3) * 4  # base64 of 1,250 bytes
    assert kept["guesses"] == ""


@pytest.mark.parametrize("wrong", [True, False])
def test_all_wrong_and_none(wrong):
    run = documents.whole_record(keeping(0, [wrong] * 12))
    assert images.wrong(run, "single-view").tolist() == [wrong] * 12
    assert len(images.guesses(run, "single-view")) == 12 * wrong


def test_older_records_say_nothing_of_images():
    run = documents.whole_record(record(TOY, 0, 1.0))
    unfinished = {**run, "result": None}
    for ask in (images.wrong, images.guesses, images.order):
        assert ask(run, "single-view") is None
        assert ask(unfinished, "single-view") is None
        assert ask(keeping(0, [1, 0]), "10-crop") is None


def test_the_order_is_that_of_dataset_split_and_how_many():
    names = {
        images.order_of(data, split, count)
        for data in ("d" * 64, "e" * 64)
        for split in ("test", "train[:100]")
        for count in (100, 99)
    }
    assert len(names) == 8


def damaged(**changes):
    made = keeping(0, [1, 0, 1, 1, 0, 0, 0, 0, 0, 1])  # b0 40
    made["result"]["images"]["single-view"] |= changes
    return made


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"wrong": "sE"}, "wrong 'sE', where base64 belongs"),
        ({"wrong": "s*A="}, "where base64 belongs"),
        ({"wrong": "sé=="}, "where base64 belongs"),
        ({"wrong": ""}, "where 2 bytes in base64 belongs"),
        ({"wrong": "sA=="}, "where 2 bytes in base64 belongs"),  # a byte too few
        ({"wrong": "sEAA"}, "where 2 bytes in base64 belongs"),  # a byte too many
        ({"wrong": "sGA="}, "where bits of 10 images belongs"),  # an eleventh image: b0 60
        ({"wrong": "sAA="}, "where 3 bytes in base64 belongs"),  # three are wrong, four guessed
        ({"wrong": "sAA=", "guesses": "AQEB"}, "3 of them wrong, but its test_wrong"),
        ({"wrong": "sMA=", "guesses": "AQEBAQE="}, "5 of them wrong, but its test_wrong"),
        ({"count": 11}, "keeps 11 test images"),
        ({"count": 0}, "a whole number from 1"),
        ({"guesses": "AQEB"}, "where 4 bytes in base64 belongs"),
        ({"guesses": "AQEBCg=="}, "guesses 10, where a class below 10 belongs"),
        ({"guesses": "AQEBAQ=", "classes": 2}, "where base64 belongs"),
        ({"classes": 1000}, "where 8 bytes in base64 belongs"),
        ({"classes": 1}, "guesses 1, where a class below 1 belongs"),
        ({"order": "x"}, "a hexadecimal number"),
        ({"wrong": 3}, "a text"),
        ({"guesses": None}, "a text"),
    ],
)
def test_damaged_images_are_refused_in_one_line(changes, said):
    documents.whole_record(damaged())
    with pytest.raises(Damaged) as refused:
        documents.whole_record(damaged(**changes))
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("key", ["order", "count", "classes", "wrong", "guesses"])
def test_images_without_a_key_are_refused(key):
    made = damaged()
    del made["result"]["images"]["single-view"][key]
    with pytest.raises(Damaged, match=f"lacks .*images.single-view.{key}"):
        documents.whole_record(made)


def test_images_of_a_protocol_without_metrics_are_refused():
    made = damaged()
    made["result"]["images"]["10-crop"] = made["result"]["images"]["single-view"]
    with pytest.raises(Damaged, match=r"10-crop.*test_count are None and None"):
        documents.whole_record(made)


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("test_count", -5, "test_count -5, where a whole number from 1"),
        ("test_count", 0.5, "test_count 0.5, where"),
        ("test_error", -1.0, "test_error -1.0, where a number from 0 to 100"),
        ("test_top5_error", 10**400, "test_top5_error 1000"),
    ],
)
def test_shares_and_numbers_of_images_that_cannot_be_are_refused(metric, value, said):
    """Of such a number the spread that is to be expected would be a root of less than nothing."""
    made = record(TOY, 0, 1.0)
    made["result"]["metrics"]["single-view"] = {"test_error": 1.0, metric: value}
    with pytest.raises(Damaged, match=said):
        documents.whole_record(made)


def test_a_run_directory_with_damaged_images_says_what_helps(tmp_path):
    folder = seal_run(tmp_path, keeping(0, [1, 0, 1]))
    assert images.wrong(reading.read_run(folder), "single-view").tolist() == [True, False, True]
    result = json.loads((folder / "result.json").read_text())
    result["images"]["single-view"]["wrong"] = "wA=="  # another image: 110
    (folder / "result.json").write_text(json.dumps(result))
    with pytest.raises(RunError, match=r"changed after it was written.*repro resume"):
        Journal(folder).record()
    result["images"]["single-view"]["wrong"] = "?"
    (folder / "result.json").write_text(json.dumps(result))
    with pytest.raises(RunError, match=r"base64 belongs; remove that file, then: repro resume"):
        Journal(folder).result()


def test_a_record_in_results_keeps_them_as_they_are_on_one_line(tmp_path):
    draw = np.random.default_rng(1)
    made = keeping(0, draw.random(10_000) < 0.09)
    seal_run(tmp_path / "runs", made)
    (path,) = reading.collect(tmp_path / "runs", tmp_path / "results")
    (read,) = reading.records(tmp_path / "results")
    assert read["result"]["images"] == made["result"]["images"]
    lines = [line for line in path.read_text().splitlines() if '"wrong": "' in line]
    assert len(lines) == 1 and made["result"]["images"]["single-view"]["wrong"] in lines[0]


def test_mlflow_is_told_the_same_numbers_with_images_and_without():
    made = keeping(0, [1, 0, 1])
    without = {key: value for key, value in made["result"].items() if key != "images"}
    told = [logged.points(made["run"], made["passes"], r) for r in (made["result"], without)]
    assert told[0] == told[1] and ("test_error", 2) in told[0]


# ---------------------------------------------------------------------------- side by side


def by_pairs(wrongs):
    """How many images every two runs disagree on, counted one by one."""
    return [
        sum(int(x) != int(y) for x, y in zip(a, b, strict=True))
        for a, b in itertools.combinations(wrongs.tolist(), 2)
    ]


@pytest.mark.parametrize("runs", [2, 3, 7])
def test_the_spread_by_images_is_that_of_the_pairs(runs):
    """Over pairs, X_i (1 - Y_i) + Y_i (1 - X_i) estimates 2 p_i (1 - p_i) without bias."""
    wrongs = np.random.default_rng(runs).random((runs, 50)) < 0.4
    pairs = by_pairs(wrongs)
    assert judging.disagreements(wrongs) == pairs
    expected = 100 * math.sqrt(statistics.fmean(pairs) / 2) / 50
    assert judging.spread(wrongs) == pytest.approx(expected)


@pytest.mark.parametrize("runs", [2, 3])
def test_the_spread_by_images_has_the_variance_of_independent_images(runs):
    """Over all outcomes of two images that are wrong 3 of 10 and 4 of 5 times."""
    chances, expected = (0.3, 0.8), 0.0
    for outcome in itertools.product((0, 1), repeat=2 * runs):
        wrongs = np.reshape(outcome, (runs, 2)).astype(bool)
        likely = math.prod(
            chances[image] if wrong else 1 - chances[image]
            for run in wrongs.tolist()
            for image, wrong in enumerate(run)
        )
        expected += likely * judging.spread(wrongs) ** 2
    variance = sum(p * (1 - p) for p in chances) / 2**2  # of the mean of two
    assert expected == pytest.approx(100**2 * variance)


def test_images_that_go_wrong_together_spread_further_than_by_images():
    """One network in two is bad on all of ten images: by images it would be far less."""
    wrongs = np.array([[True] * 10, [False] * 10] * 3)
    observed = statistics.stdev(100 * wrongs.mean(axis=1))
    assert judging.spread(wrongs) == pytest.approx(observed / math.sqrt(10))


def test_runs_alike_do_not_spread_and_one_run_alone_says_nothing():
    assert judging.spread(np.array([[True, False]] * 3)) == 0
    with pytest.raises(ValueError, match="two runs"):
        judging.spread(np.array([[True, False]]))


def test_images_that_two_runs_disagree_on_and_that_all_get_wrong():
    a, b, c = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 1, 1], [0, 1, 0, 0, 1]], bool)
    assert judging.disagreement(a, b) == 2
    assert judging.wrong_in_all(np.stack([a, b])).tolist() == [0, 4]
    assert judging.wrong_in_all(np.stack([a, b, c])).tolist() == [4]


def test_only_runs_of_one_order_are_laid_side_by_side():
    """Of two orders the commoner one; older runs have no part in it."""
    runs = [keeping(seed, [1, 0, 0], order=ORDER) for seed in (0, 1)]
    other = keeping(2, [0, 0, 1], order="b" * 64)
    together = judging.side_by_side([other, *runs, record(TOY, 3, 1.0)], "single-view")
    assert [run["run"]["seed"] for run in together.records] == [0, 1]
    assert (together.order, together.wrong.shape, together.scale) == (ORDER, (2, 3), "paper")
    assert judging.side_by_side([record(TOY, 3, 1.0)], "single-view") is None
    assert judging.side_by_side(runs, "10-crop") is None
    longer = keeping(4, [1, 0, 0, 1])  # from outside: the same order, of more images
    together = judging.side_by_side([longer, *runs], "single-view")
    assert together.wrong.shape == (2, 3)


def test_runs_that_keep_their_images_speak_though_earlier_ones_count():
    before = [record(TOY, seed, 1.0) for seed in (0, 1, 2)]
    after = [keeping(s, [1, 0], finished=f"2026-12-01T00:00:0{s}+00:00") for s in (0, 1)]
    varied = keeping(2, [1, 0], precision="mixed_bfloat16")
    spoken = judging.speaking([*before, *after, varied], [TOY], "single-view")
    assert [run["run"]["id"] for run in spoken.records] == [run["run"]["id"] for run in after]


def test_short_runs_speak_where_fewer_than_two_at_paper_scale_keep_their_images():
    short = [keeping(seed, [1, 0], scale="short") for seed in (0, 1)]
    paper = [keeping(seed, [0, 1]) for seed in (0, 1)]
    assert judging.speaking([*short, paper[0]], [TOY], "single-view").scale == "short"
    assert judging.speaking([*short, *paper], [TOY], "single-view").scale == "paper"
    assert judging.speaking(short[:1], [TOY], "single-view") is None
    other = dataclasses.replace(TOY, name="other")
    assert judging.speaking(short, [other], "single-view") is None
