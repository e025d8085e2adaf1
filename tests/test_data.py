"""Datasets: the real ones give the published facts; nothing else passes under their names."""

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from repro.data import datasets, downloads, sets, sources, writing
from repro.data.digests import content_digest
from repro.data.sets import Dataset, Split
from repro.errors import DataError, RunError, UsageError

SHAPE = (6, 5, 1)


def blank_dataset(splits):
    return Dataset(
        name="tiny",
        version="1.0.0",
        title="Tiny pictures",
        source="tfds",
        classes=4,
        shape=SHAPE,
        examples={name: len(split.labels) for name, split in splits.items()},
        content={name: content_digest(split) for name, split in splits.items()},
    )


def random_split(count, seed):
    random = np.random.default_rng(seed)
    return Split(
        random.integers(0, 256, (count, *SHAPE), np.uint8),
        random.integers(0, 4, count).astype(np.int32),
    )


def keep_as_tfds(root, splits):
    """Writes `splits` as TFDS keeps them: descriptions, and a file of records for each."""
    tf = pytest.importorskip("tensorflow")
    folder = root / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    for name, split in splits.items():
        with tf.io.TFRecordWriter(str(folder / f"tiny-{name}.tfrecord-00000-of-00001")) as file:
            for image, label in zip(split.images, split.labels, strict=True):
                png = tf.io.encode_png(image).numpy()
                features = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                file.write(example.SerializeToString())
    feature = "tensorflow_datasets.core.features."
    dimensions = {"dimensions": [str(d) for d in SHAPE]}
    description = {
        "name": "tiny",
        "version": "1.0.0",
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": name,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(len(split.labels))],
                "numBytes": "1",
            }
            for name, split in splits.items()
        ],
    }
    features = {
        "pythonClassName": feature + "features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "image": {
                    "pythonClassName": feature + "image_feature.Image",
                    "image": {"shape": dimensions, "dtype": "uint8", "encodingFormat": "png"},
                },
                "label": {
                    "pythonClassName": feature + "class_label_feature.ClassLabel",
                    "classLabel": {"numClasses": "4"},
                },
            }
        },
    }
    (folder / "dataset_info.json").write_text(json.dumps(description))
    (folder / "features.json").write_text(json.dumps(features))


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    splits = {"train": random_split(40, 1), "test": random_split(12, 2)}
    root = tmp_path_factory.mktemp("stored")
    keep_as_tfds(root, splits)
    return root, splits


@pytest.fixture
def tiny(stored, tmp_path, monkeypatch):
    """A dataset "tiny" that lies as TFDS keeps it, in a copy that a test may spoil."""
    root, splits = stored
    shutil.copytree(root, tmp_path / "tfds")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setitem(sets.DATASETS, "tiny", blank_dataset(splits))
    monkeypatch.setattr(sources, "_download", no_download)
    return splits


def no_download(dataset):
    raise DataError(f"{dataset.name} is missing")


def tfds_file(split):
    folder = Path(os.environ["TFDS_DATA_DIR"]) / "tiny" / "1.0.0"
    return folder / f"tiny-{split}.tfrecord-00000-of-00001"


def prepared(file):
    return Path(os.environ["REPRO_DATA_DIR"]) / "tiny-1.0.0" / file


# ---------------------------------------------------------------------------- from TFDS to arrays


def test_a_tfds_dataset_arrives_in_stored_order(tiny):
    for name, split in tiny.items():
        loaded = datasets.load("tiny", name)
        np.testing.assert_array_equal(loaded.images, split.images)
        np.testing.assert_array_equal(loaded.labels, split.labels)
        assert loaded.images.dtype == np.uint8
        assert loaded.labels.dtype == np.int32
        assert isinstance(loaded.images, np.memmap)


def test_prepared_data_needs_neither_tfds_nor_tensorflow(tiny, monkeypatch):
    datasets.prepare("tiny")
    shutil.rmtree(os.environ["TFDS_DATA_DIR"])
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    np.testing.assert_array_equal(datasets.load("tiny", "test").images, tiny["test"].images)
    assert datasets.check("tiny") == []


def test_preparing_tells_how_far_it_is_and_leaves_nothing_beside(tiny):
    steps = []
    folder = datasets.prepare("tiny", lambda done, total: steps.append((done, total)))
    assert steps[-1] == (52, 52)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny-1.0.0"]


def test_states(tiny):
    def state():
        return next(d for d in datasets.available() if d["name"] == "tiny")["state"]

    assert state() == "in TFDS_DATA_DIR"
    assert "repro data prepare tiny" in datasets.check("tiny")[0]
    datasets.prepare("tiny")
    assert state() == "prepared"
    shutil.rmtree(os.environ["REPRO_DATA_DIR"])
    shutil.rmtree(os.environ["TFDS_DATA_DIR"])
    assert state() == "missing"


def test_two_that_prepare_at_once_both_end_well(tiny):
    folder = datasets.prepare("tiny")
    # The second process has read the data and finds the folder there when it comes to rename.
    writing.write_arrays(sets.DATASETS["tiny"], tiny, folder)
    assert datasets.check("tiny") == []
    assert [path.name for path in folder.parent.iterdir()] == ["tiny-1.0.0"]


def test_a_prepared_folder_that_cannot_be_written(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("REPRO_DATA_DIR", "/proc/prepared")
    with pytest.raises(RunError, match="set REPRO_DATA_DIR to a folder that can be written"):
        datasets.prepare("tiny")
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "another"))
    assert datasets.prepare("tiny") == tmp_path / "another" / "tiny-1.0.0"


# ---------------------------------------------------------------------------- bad data


def test_missing(tiny):
    shutil.rmtree(os.environ["TFDS_DATA_DIR"])
    with pytest.raises(DataError, match="tiny is missing"):
        datasets.load("tiny", "train")


def test_missing_without_network_says_what_is_wanted(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")

    def unreachable(url):
        raise downloads.Unreachable("the server refuses connections: try again later")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setattr(downloads, "reach", unreachable)
    with pytest.raises(DataError) as error:
        datasets.load("mnist", "train")
    text = str(error.value)
    assert "\n" not in text
    assert "could not be downloaded: the server refuses connections: try again later" in text
    assert str(tmp_path / "tfds" / "mnist" / "3.0.1") in text
    assert str(tmp_path / "prepared" / "mnist-3.0.1") in text
    assert "dataset_info.json" in text
    assert "TFDS_DATA_DIR" in text


@pytest.mark.parametrize("keep", [0.5, 0.99])
@pytest.mark.parametrize("split", ["train", "test"])
def test_truncated_records_are_named(tiny, split, keep):
    file = tfds_file(split)
    os.truncate(file, int(file.stat().st_size * keep))
    with pytest.raises(DataError, match=file.name):
        datasets.load("tiny", "train")
    assert not prepared("").exists()


def test_a_flipped_bit_in_the_records_is_named(tiny):
    file = tfds_file("train")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=file.name):
        datasets.load("tiny", "train")


def test_records_cut_between_two_examples_are_too_few(tiny):
    tf = pytest.importorskip("tensorflow")
    file = tfds_file("train")
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(file))]
    with tf.io.TFRecordWriter(str(file)) as shorter:
        for record in records[:30]:
            shorter.write(record)
    with pytest.raises(DataError, match=f"{file.name}.* 30 of 40"):
        datasets.load("tiny", "train")


def test_a_missing_file_of_records(tiny):
    tfds_file("test").unlink()
    with pytest.raises(DataError, match=f"{tfds_file('test').name} is missing"):
        datasets.load("tiny", "train")


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json"])
def test_a_damaged_description(tiny, file):
    tfds_file("train").with_name(file).write_text('{"name": ')
    with pytest.raises(DataError, match="tiny"):
        datasets.load("tiny", "train")


@pytest.mark.parametrize("what", ["pixel", "label", "count", "shape", "name"])
def test_a_foreign_dataset_is_refused(tiny, what, monkeypatch):
    dataset, split = sets.DATASETS["tiny"], tiny["train"]
    images, labels = split.images.copy(), split.labels.copy()
    if what == "pixel":
        images[17, 3, 2, 0] ^= 1
    elif what == "label":
        labels[17] = (labels[17] + 1) % 4
    foreign = {"train": content_digest(Split(images, labels)), "test": dataset.content["test"]}
    folder = tfds_file("train").parent
    if what == "name":
        description = json.loads((folder / "dataset_info.json").read_text())
        (folder / "dataset_info.json").write_text(json.dumps({**description, "name": "other"}))
    changes = {
        "name": {},
        "pixel": {"content": foreign},
        "label": {"content": foreign},
        "count": {"examples": {"train": 41, "test": 12}},
        "shape": {"shape": (5, 6, 1)},
    }
    monkeypatch.setitem(sets.DATASETS, "tiny", dataclasses.replace(dataset, **changes[what]))
    with pytest.raises(DataError, match="tiny"):
        datasets.load("tiny", "train")
    assert not prepared("").exists()


def test_the_order_of_the_examples_does_not_make_a_dataset_foreign():
    split = random_split(30, 3)
    mixed = np.random.default_rng(0).permutation(30)
    assert content_digest(Split(split.images[mixed], split.labels[mixed])) == content_digest(split)
    exchanged = Split(split.images[mixed], split.labels)
    assert content_digest(exchanged) != content_digest(split)


# ---------------------------------------------------------------------------- spoilt arrays


def flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


SPOIL = {
    "altered": flip,
    "truncated": lambda file: os.truncate(file, file.stat().st_size - 1),
    "emptied": lambda file: file.write_bytes(b""),
    "removed": lambda file: file.unlink(),
    "replaced": lambda file: np.save(file, np.zeros(3)),
}


@pytest.mark.parametrize("fault", SPOIL)
@pytest.mark.parametrize("array", ["train-images.npy", "train-labels.npy"])
def test_spoilt_arrays_are_noticed(tiny, array, fault):
    datasets.prepare("tiny")
    SPOIL[fault](prepared(array))
    with pytest.raises(
        DataError,
        match=f"{array}.*delete the folder .*tiny-1.0.0, then do: repro data prepare tiny",
    ):
        datasets.load("tiny", "train")
    problems = datasets.check("tiny")
    assert problems
    assert array in problems[0]


@pytest.fixture(scope="session")
def drawn():
    return {"train": random_split(40, 1), "test": random_split(12, 2)}


@pytest.fixture
def kept(drawn, tmp_path, monkeypatch):
    """The dataset "tiny", prepared, without TFDS; gives its folder and its record."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setitem(sets.DATASETS, "tiny", blank_dataset(drawn))
    writing.write_arrays(sets.DATASETS["tiny"], drawn, prepared(""))
    return prepared(""), json.loads(prepared("facts.json").read_text())


def refused():
    """The one line for a prepared folder of which nothing is believed."""
    with pytest.raises(DataError) as error:
        datasets.load("tiny", "train")
    text = str(error.value)
    assert "\n" not in text
    assert datasets.check("tiny") == datasets.glance("tiny") == [text]
    with pytest.raises(DataError):
        datasets.facts("tiny")
    row = next(row for row in datasets.available() if row["name"] == "tiny")
    assert row["problem"] == text
    return text


TORN = {
    "empty": b"",
    "another value": b"[]",
    "nothing in it": b"{}",
    "no arrays": b'{"name": "tiny", "version": "1.0.0", "arrays": {}, "content": {}}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "deep": b"[" * 100_000,
    "deep in a field": b'{"arrays": ' + b'{"a":' * 50_000,
    "a number of 5,000 digits": b'{"arrays": ' + b"9" * 5000 + b"}",
    "endless": b" " * (17 * 2**20),
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_a_torn_record_is_noticed(kept, content):
    prepared("facts.json").write_bytes(content)
    text = refused()
    assert "facts.json is damaged" in text
    assert f"delete the folder {kept[0]}, then do: repro data prepare tiny" in text


def changed(record, *path, value):
    record = json.loads(json.dumps(record))
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return record


ARRAY = ("arrays", "train-images")


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("arrays",), (None, [], 7, "train-images", {"train-images": {}})),
        (ARRAY, (None, [], "x", {"sha256": "0" * 64})),
        ((*ARRAY, "bytes"), (None, "5", -1, True, 2.5, 10**400, [], float("nan"))),
        ((*ARRAY, "sha256"), (None, 7, "", "0" * 63, "Z" * 64, ["0" * 64], "0" * 64 + "\n")),
        (("content",), (None, [], "x", {}, {"train": 0})),
        (("name",), (None, "mnist", ["tiny"])),
        (("version",), (None, 1.0, "2.0.0")),
    ],
)
def test_a_record_of_other_types_or_values_is_noticed(kept, path, values):
    for value in values:
        prepared("facts.json").write_text(json.dumps(changed(kept[1], *path, value=value)))
        assert "delete the folder" in refused()


def test_a_record_that_is_no_file_is_noticed_at_once(kept):
    prepared("facts.json").unlink()
    os.mkfifo(prepared("facts.json"))
    assert "facts.json is damaged" in refused()
    prepared("facts.json").unlink()
    prepared("facts.json").mkdir()
    assert "facts.json is damaged" in refused()


def header(description):
    """The beginning of an array's file, with its description as given."""
    return b"\x93NUMPY\x01\x00" + len(description).to_bytes(2, "little") + description


HEADERS = {
    "no Python": b"{'descr': '|u1', ",
    "unknown type": b"{'descr': 'zz', 'fortran_order': False, 'shape': (1,)}",
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "huge": b"{'descr': '|u1', 'fortran_order': False, 'shape': (" + b"9" * 30 + b",)}",
    "negative": b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
    "deep": b"(" * 5000,
    "unended text": b"'''",
    "not ASCII": b"\xff\xfe",
}


@pytest.mark.parametrize("description", HEADERS.values(), ids=HEADERS)
def test_an_array_with_a_damaged_header_is_noticed(kept, description):
    file = prepared("train-images.npy")
    size = file.stat().st_size
    file.write_bytes(header(description).ljust(size, b"\n"))
    assert file.stat().st_size == size or description == HEADERS["deep"]
    with pytest.raises(DataError, match=r"train-images\.npy .*delete the folder"):
        datasets.load("tiny", "train")
    assert "train-images.npy" in datasets.check("tiny")[0]


def test_a_linked_array_is_held_to_its_digest_like_any_other(kept, tmp_path):
    """People keep large arrays on another disk; what is read is verified wherever it lies."""
    array = prepared("train-images.npy")
    elsewhere = array.rename(tmp_path / "elsewhere.npy")
    array.symlink_to(elsewhere)
    assert datasets.check("tiny") == []
    flip(elsewhere)
    assert "was altered since it was prepared" in datasets.check("tiny")[0]
    for target in ("/dev/zero", str(tmp_path)):
        array.unlink()
        array.symlink_to(target)
        assert f"{array} is not a file" in datasets.check("tiny")[0]
    assert elsewhere.exists()


def test_prepared_arrays_of_another_dataset_are_refused(tiny, monkeypatch):
    datasets.prepare("tiny")
    other = dataclasses.replace(sets.DATASETS["tiny"], content={"train": "0", "test": "1"})
    monkeypatch.setitem(sets.DATASETS, "tiny", other)
    with pytest.raises(DataError, match="Tiny pictures"):
        datasets.load("tiny", "train")


def test_after_deleting_the_folder_all_is_well_again(tiny):
    folder = datasets.prepare("tiny")
    flip(prepared("test-images.npy"))
    shutil.rmtree(folder)
    datasets.load("tiny", "test")
    assert datasets.check("tiny") == []


def test_the_digest_names_the_arrays_that_are_there(tiny):
    digest = datasets.facts("tiny")["digest"]
    assert digest == datasets.facts("tiny")["digest"]
    assert len(digest) == 64
    folder = datasets.prepare("tiny")
    shutil.rmtree(folder)
    turned = {n: Split(s.images[::-1], s.labels[::-1]) for n, s in tiny.items()}
    writing.write_arrays(sets.DATASETS["tiny"], turned, folder)
    assert datasets.facts("tiny")["digest"] != digest


# ---------------------------------------------------------------------------- names and slices


@pytest.mark.parametrize(
    ("split", "first", "last"),
    [
        ("train", 0, 1437),
        ("train[:100]", 0, 100),
        ("train[-50:]", 1387, 1437),
        ("train[100:200]", 100, 200),
        ("train[:-37]", 0, 1400),
        ("train[:]", 0, 1437),
    ],
)
def test_slices_are_taken_in_stored_order(split, first, last):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    digits = sklearn_datasets.load_digits()
    loaded = datasets.load("digits", split)
    np.testing.assert_array_equal(loaded.images[..., 0], digits.images[first:last])
    np.testing.assert_array_equal(loaded.labels, digits.target[first:last])


def test_the_digits_test_split_is_the_last_360():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    digits = sklearn_datasets.load_digits()
    loaded = datasets.load("digits", "test")
    np.testing.assert_array_equal(loaded.labels, digits.target[-360:])
    assert datasets.check("digits") == datasets.glance("digits") == []
    assert datasets.standing("digits") == "ok: all of 1,437 train and 360 test"
    assert datasets.facts("digits")["examples"] == {"train": 1437, "test": 360}


@pytest.mark.parametrize(
    "split",
    (
        "validation",
        "trian",
        "",
        "train[",
        "train[5]",
        "train[a:b]",
        "train[:10%]",
        "train[:5]x",
        "train [:5]",
        "train[5:5]",
        "train[9:3]",
        "train[:0]",
        "train[:1438]",
        "train[-2000:]",
        "train[:10**30]",
        f"train[:{10**30}]",
        f"train[1{'0' * 5000}:]",
        f"train[-{10**30}:{10**30}]",
        "train[:٣]",
        "t" * 100_000,
    ),
    ids=lambda split: split[:20],
)
def test_a_split_that_is_none_is_refused_in_one_short_line(split):
    for ask in (datasets.load, datasets.count):
        with pytest.raises(UsageError) as error:
            ask("digits", split)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    "ask", [datasets.facts, datasets.prepare, datasets.check, datasets.glance, datasets.standing]
)
def test_an_unknown_dataset_is_refused(ask):
    with pytest.raises(UsageError, match="did you mean mnist"):
        ask("mnits")


def test_an_unknown_split_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean train"):
        datasets.load("digits", "trian")


# ---------------------------------------------------------------------------- the real MNIST


@pytest.fixture(scope="session")
def mnist(tmp_path_factory):
    root = os.environ.get("TFDS_DATA_DIR")
    if not root or not (Path(root) / "mnist" / "3.0.1" / "dataset_info.json").exists():
        pytest.skip("needs mnist 3.0.1 in TFDS_DATA_DIR")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRO_DATA_DIR", str(tmp_path_factory.mktemp("real")))
        yield {split: datasets.load("mnist", split) for split in ("train", "test")}


def test_mnist_is_mnist(mnist):
    # Digits per class, as in the official label files.
    counts = {
        "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    }
    for split, wanted in counts.items():
        assert np.bincount(mnist[split].labels).tolist() == wanted
        assert mnist[split].images.shape == (sum(wanted), 28, 28, 1)
    # The mean and deviation by which MNIST is commonly normalised.
    assert mnist["train"].images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert mnist["train"].images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
