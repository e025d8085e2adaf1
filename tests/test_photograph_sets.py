"""Sets of photographs: kept as the files that they came in, and told when only a part is here."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from repro import cli
from repro.data import datasets, sets, sources, writing
from repro.data.photographs import Photographs
from repro.data.sets import Dataset
from repro.errors import DataError, RunError, UsageError


def jpeg(seed, height=40, width=50):
    """The file of a smooth picture, another for each seed."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(corners).resize((width, height)).save(stream, "JPEG")
    return stream.getvalue()


FILES = {
    "train": [jpeg(i, 20 + i, 30 - i) for i in range(7)],
    "validation": [jpeg(50 + i) for i in range(5)],
}
LABELS = {"train": [3, 1, 0, 0, 2, 1, 3], "validation": [2, 2, 0, 1, 3]}


def digest(files, labels):
    """SHA-256 over the sorted SHA-256 of the examples: the file, the label in four bytes."""
    examples = [
        hashlib.sha256(file + struct.pack("<i", label)).digest()
        for file, label in zip(files, labels, strict=True)
    ]
    return hashlib.sha256(b"".join(sorted(examples))).hexdigest()


@pytest.fixture
def snaps(tmp_path, monkeypatch):
    """A set "snaps", of whose nine training photographs seven are here, and what TFDS holds of it.

    What is held, {split: (files, labels)}, may be changed before the set is prepared.
    """
    held = {name: (list(FILES[name]), list(LABELS[name])) for name in FILES}

    def builder(dataset):
        splits = {name: SimpleNamespace(num_examples=len(held[name][0])) for name in held}
        return SimpleNamespace(info=SimpleNamespace(splits=splits))

    def batches(builder, name, folder, encoded):
        files, labels = held[name]
        for first in range(0, len(files), 3):
            rows = slice(first, first + 3)
            yield {"image": np.array(files[rows], object), "label": np.array(labels[rows])}

    dataset = Dataset(
        name="snaps",
        version="2.0.0",
        title="Snaps of four kinds",
        source="tfds",
        classes=4,
        shape=None,
        examples={"train": 9, "validation": 5},
        content={"validation": digest(FILES["validation"], LABELS["validation"])},
        partial=("train",),
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setitem(sets.DATASETS, "snaps", dataset)
    monkeypatch.setattr(sources, "tfds_builder", builder)
    monkeypatch.setattr(sources, "tfds_batches", batches)
    return held


def prepared(file):
    return Path(os.environ["REPRO_DATA_DIR"]) / "snaps-2.0.0" / file


def test_photographs_arrive_as_they_are_stored(snaps):
    for name, files in FILES.items():
        split = datasets.load("snaps", name)
        assert isinstance(split.images, Photographs)
        assert isinstance(split.images.files.values, np.memmap)
        assert split.labels.dtype == np.int32
        assert split.labels.tolist() == LABELS[name]
        assert [split.images.file(i) for i in range(len(split.images))] == files
        for file, image in zip(files, split.images[:], strict=True):
            np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(file))))


def test_prepared_photographs_need_no_tfds_and_are_plain_arrays(snaps, monkeypatch):
    steps = []
    folder = datasets.prepare("snaps", lambda done, total: steps.append((done, total)))
    assert steps == [(3, 12), (6, 12), (7, 12), (10, 12), (12, 12)]
    assert [path.name for path in folder.parent.iterdir()] == ["snaps-2.0.0"]
    monkeypatch.setattr(sources, "tfds_builder", None)
    assert datasets.check("snaps") == []
    assert len(datasets.load("snaps", "validation").images) == 5
    encoded = np.load(prepared("train-encoded.npy"))
    assert encoded.dtype == np.uint8
    assert encoded.tobytes() == b"".join(FILES["train"])
    assert (
        np.load(prepared("train-ends.npy")).tolist()
        == np.cumsum([len(file) for file in FILES["train"]]).tolist()
    )


def test_slices_are_taken_without_decoding_and_end_where_what_is_here_ends(snaps):
    assert datasets.count("snaps", "train") == 9  # nothing is known yet but the official number
    datasets.prepare("snaps")
    assert datasets.count("snaps", "train") == 7
    assert datasets.count("snaps", "train[-2:]") == 2
    for part, rows in (("[2:6]", slice(2, 6)), ("[-2:]", slice(5, 7)), ("[:7]", slice(0, 7))):
        split = datasets.load("snaps", f"train{part}")
        assert isinstance(split.images, Photographs)
        assert [split.images.file(i) for i in range(len(split.images))] == FILES["train"][rows]
        assert split.labels.tolist() == LABELS["train"][rows]
    for ask in (datasets.load, datasets.count):
        with pytest.raises(UsageError, match="beyond the 9 examples of train, of which 7 are here"):
            ask("snaps", "train[:8]")


def test_a_slice_of_what_is_not_here_is_told_once_that_is_known(snaps):
    with pytest.raises(UsageError, match="7 are here"):
        datasets.load("snaps", "train[:8]")
    with pytest.raises(UsageError, match="beyond the 5 examples of validation"):
        datasets.load("snaps", "validation[:6]")


def test_a_part_of_a_set_is_told(snaps, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    datasets.prepare("snaps")
    assert datasets.facts("snaps")["examples"] == {"train": 7, "validation": 5}
    row = next(row for row in datasets.available() if row["name"] == "snaps")
    assert row["examples"] == {"train": 7, "validation": 5}
    assert row["official"] == {"train": 9, "validation": 5}
    for arguments in (["data", "list", "snaps"], ["data", "check", "snaps"]):
        assert cli.main(arguments) == 0
        assert "train 7 of 9" in capsys.readouterr().out
    assert datasets.check("snaps") == []
    assert datasets.standing("snaps") == "partial: train 7 of 9, validation 5 of 5"


def test_the_digest_names_what_is_here(snaps):
    whole = datasets.facts("snaps")["digest"]
    shutil.rmtree(prepared(""))
    assert datasets.facts("snaps")["digest"] == whole
    shutil.rmtree(prepared(""))
    for values in snaps["train"]:
        values.pop()
    assert datasets.facts("snaps")["digest"] != whole


def swapped(files, labels):
    labels[0], labels[4] = labels[4], labels[0]


FOREIGN = {
    "another photograph": lambda files, labels: files.__setitem__(3, jpeg(99)),
    "another label": swapped,
    "too few": lambda files, labels: (files.pop(), labels.pop()),
    "too many": lambda files, labels: (files.append(jpeg(99)), labels.append(1)),
}


@pytest.mark.parametrize("change", FOREIGN)
def test_another_content_or_number_is_refused(snaps, change):
    FOREIGN[change](*snaps["validation"])
    with pytest.raises(DataError, match=r"validation in .* is not Snaps of four kinds"):
        datasets.load("snaps", "train")
    assert list(prepared("").parent.glob("*")) == []


def test_the_order_of_the_photographs_does_not_matter(snaps):
    for values in snaps["validation"]:
        values.reverse()
    assert datasets.load("snaps", "validation").labels.tolist() == LABELS["validation"][::-1]
    assert datasets.check("snaps") == []


@pytest.mark.parametrize("label", [-1, 4])
def test_a_split_that_is_only_counted_has_no_other_classes(snaps, label):
    snaps["train"][1][3] = label
    with pytest.raises(DataError, match="other classes"):
        datasets.prepare("snaps")


@pytest.mark.parametrize("count", [0, 10])
def test_a_part_is_at_least_one_and_at_most_all(snaps, count):
    snaps["train"] = ([jpeg(i) for i in range(count)], [1] * count)
    with pytest.raises(DataError, match=f"{count} of 9 examples"):
        datasets.prepare("snaps")


def test_photographs_that_cannot_be_written(snaps, monkeypatch, tmp_path):
    monkeypatch.setenv("REPRO_DATA_DIR", "/proc/prepared")
    with pytest.raises(RunError, match="set REPRO_DATA_DIR to a folder that can be written"):
        datasets.prepare("snaps")


# ---------------------------------------------------------------------------- spoilt photographs


def flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


SPOIL = {
    "truncated": lambda file: os.truncate(file, file.stat().st_size - 1),
    "emptied": lambda file: file.write_bytes(b""),
    "removed": lambda file: file.unlink(),
    "replaced": lambda file: np.save(file, np.zeros(3)),
}
ARRAYS = ("train-encoded.npy", "train-ends.npy", "train-labels.npy")


@pytest.mark.parametrize("fault", SPOIL)
@pytest.mark.parametrize("array", ARRAYS)
def test_spoilt_files_are_noticed(snaps, array, fault):
    datasets.prepare("snaps")
    SPOIL[fault](prepared(array))
    with pytest.raises(DataError, match=f"{array}.*delete the folder .*snaps-2.0.0"):
        datasets.load("snaps", "train")
    assert array in datasets.check("snaps")[0]


@pytest.mark.parametrize("array", ARRAYS)
def test_altered_labels_are_noticed_at_once_and_photographs_by_the_check(snaps, array):
    datasets.prepare("snaps")
    flip(prepared(array))
    if array == "train-encoded.npy":
        datasets.load("snaps", "train")
    else:
        with pytest.raises(DataError, match=f"{array} was altered"):
            datasets.load("snaps", "train")
    problems = datasets.check("snaps")
    assert len(problems) == 1
    assert f"{array} was altered" in problems[0]


@pytest.mark.parametrize("numbers", [{"train": 10, "validation": 5}, {"train": 7}, None, 7])
def test_a_record_of_other_numbers_is_noticed(snaps, numbers):
    datasets.prepare("snaps")
    record = json.loads(prepared("facts.json").read_text())
    prepared("facts.json").write_text(json.dumps({**record, "examples": numbers}))
    with pytest.raises(DataError, match=r"facts\.json.*delete the folder"):
        datasets.load("snaps", "train")
    assert datasets.count("snaps", "train") == 9
    assert datasets.check("snaps")


# ---------------------------------------------------------------------------- half a photograph


def halve(files, number):
    files[number] = files[number][: len(files[number]) // 2]


BROKEN = {
    "half a JPEG": lambda file: file[: len(file) // 2],
    "all but its end": lambda file: file[:-40],
    "nothing": lambda file: b"",
    "a page of a log-in": lambda file: b"<html>Please log in</html>",
}


@pytest.mark.parametrize("number", [0, 4, 6])
@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_no_whole_photograph_is_not_prepared(snaps, broken, number):
    """A digest does not help: of the training photographs none is known."""
    files = snaps["train"][0]
    whole = files[number]
    files[number] = BROKEN[broken](whole)
    with pytest.raises(
        DataError, match=f"photograph {number} of train in .* cannot be decoded"
    ) as e:
        datasets.prepare("snaps")
    assert "put the official files there, or move that folder away" in str(e.value)
    assert list(prepared("").parent.glob("*")) == []
    files[number] = whole  # the official files
    datasets.prepare("snaps")
    assert datasets.check("snaps") == []


def as_before(snaps, monkeypatch):
    """Prepares as versions did that decoded nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(writing, "fault", lambda file: None)
        datasets.prepare("snaps")
    record = json.loads(prepared("facts.json").read_text())
    del record["decoded"]
    prepared("facts.json").write_text(json.dumps(record))


@pytest.mark.parametrize("look", [datasets.check, datasets.glance])
def test_half_a_photograph_prepared_before_is_told_and_what_is_said_helps(snaps, monkeypatch, look):
    whole = list(snaps["train"][0])
    halve(snaps["train"][0], 4)
    as_before(snaps, monkeypatch)
    (problem,) = look("snaps")
    for words in (
        "1 of the 7 photographs of train",
        "photograph 4 ",
        "delete the folder",
    ):
        assert words in problem
    with pytest.raises(DataError, match=r"photograph 4 cannot be decoded.*repro data check"):
        datasets.load("snaps", "train").images[:]
    # It came so. To prepare the same files again does not help, and says so.
    shutil.rmtree(prepared(""))
    with pytest.raises(DataError, match=r"photograph 4 of train in .*put the official files"):
        datasets.prepare("snaps")
    snaps["train"][0][:] = whole
    datasets.prepare("snaps")
    assert look("snaps") == []


def test_of_many_that_are_broken_some_are_named(snaps, monkeypatch):
    for number in range(6):
        halve(snaps["train"][0], number)
    as_before(snaps, monkeypatch)
    (problem,) = datasets.check("snaps")
    assert "6 of the 7 photographs" in problem
    assert [f"photograph {n} " in problem for n in range(6)] == [True] * 3 + [False] * 3


def test_the_check_of_photographs_tells_how_far_it_is(snaps):
    datasets.prepare("snaps")
    steps = []
    datasets.check("snaps", lambda done, total: steps.append((done, total)))
    assert steps[0] == (7, 12)
    assert steps[-1] == (12, 12)
    assert steps == sorted(steps)


def test_a_glance_decodes_nothing_twice_but_sees_what_was_altered(snaps, monkeypatch):
    datasets.prepare("snaps")
    with monkeypatch.context() as patch:
        patch.setattr(Photographs, "examine", None)
        assert datasets.glance("snaps") == []
    flip(prepared("train-encoded.npy"))
    assert "was altered since it was prepared" in datasets.glance("snaps")[0]


@pytest.mark.parametrize("ends", [[1, 1], [2, 1], [0, 1], [-1, 1]])
def test_places_of_photographs_that_cannot_be_are_noticed(snaps, ends):
    """Even where somebody made a record to match."""
    datasets.prepare("snaps")
    values = np.load(prepared("train-ends.npy"))
    values[: len(ends)] = ends
    np.save(prepared("train-ends.npy"), values)
    record = json.loads(prepared("facts.json").read_text())
    record["arrays"]["train-ends"]["sha256"] = hashlib.sha256(values).hexdigest()
    prepared("facts.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"train-ends\.npy was altered"):
        datasets.load("snaps", "train")
    assert len(datasets.check("snaps")) == 1


# ---------------------------------------------------------------------------- in each class


def held_to(monkeypatch, least, most):
    dataset = dataclasses.replace(
        sets.DATASETS["snaps"],
        examples={"train": 7, "validation": 5},
        partial=(),
        per_class={"train": (least, most)},
    )
    monkeypatch.setitem(sets.DATASETS, "snaps", dataset)


def test_a_split_is_held_to_the_number_of_each_class(snaps, monkeypatch):
    held_to(monkeypatch, 1, 2)  # there are 2, 2, 1 and 2
    datasets.prepare("snaps")
    assert datasets.check("snaps") == []
    held_to(monkeypatch, 2, 2)
    (problem,) = datasets.check("snaps")
    assert "it holds 1 examples of class 2, wanted are 2" in problem
    assert f"delete the folder {prepared('')}" in problem
    assert datasets.glance("snaps") == [problem]
    with pytest.raises(DataError, match="of class 2"):
        datasets.load("snaps", "train")
    shutil.rmtree(prepared(""))
    with pytest.raises(DataError, match="of class 2, wanted are 2; put the official files there"):
        datasets.prepare("snaps")
    assert list(prepared("").parent.glob("*")) == []


def test_a_part_of_a_split_is_held_to_the_most_of_each_class(snaps, monkeypatch):
    dataset = dataclasses.replace(
        sets.DATASETS["snaps"], examples={"train": 9, "validation": 5}, per_class={"train": (2, 3)}
    )
    monkeypatch.setitem(sets.DATASETS, "snaps", dataset)
    datasets.prepare("snaps")
    assert datasets.check("snaps") == []
    few = dataclasses.replace(dataset, per_class={"train": (1, 1)})
    monkeypatch.setitem(sets.DATASETS, "snaps", few)
    assert "it holds 2 examples of class 0, wanted are 0 to 1;" in datasets.check("snaps")[0]


def test_the_published_numbers_of_each_class():
    """ILSVRC 2012 has 732 to 1,300 training images of a class, and 50 for validation.

    Imagenette's training folders hold 963, 955, 993, 858, 941, 956, 961, 931, 951 and 960.
    """
    imagenet, imagenette = sets.DATASETS["imagenet"], sets.DATASETS["imagenette"]
    assert imagenet.per_class == {"train": (732, 1300), "validation": (50, 50)}
    assert imagenet.examples["validation"] == 50 * imagenet.classes
    counts = [963, 955, 993, 858, 941, 956, 961, 931, 951, 960]
    assert imagenette.per_class == {"train": (min(counts), max(counts))}
    assert imagenette.examples["train"] == sum(counts)


# ---------------------------------------------------------------------------- two of 1,281,167


def describe(folder, lengths, files=None):
    """The description of a folder of TFDS, and its files of records."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = [{"name": n, "shardLengths": [str(k) for k in ks]} for n, ks in lengths.items()]
    (folder / "dataset_info.json").write_text(json.dumps({"name": "x", "splits": splits}))
    for name, shards in (lengths if files is None else files).items():
        for number in range(len(shards)):
            file = f"imagenet2012-{name}.tfrecord-{number:05}-of-{len(lengths[name]):05}"
            (folder / file).write_bytes(b"records")


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """The folder in which TFDS keeps ImageNet; and the row that the harness shows of it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))

    def row():
        return next(row for row in datasets.available() if row["name"] == "imagenet")

    return tmp_path / "tfds" / "imagenet2012" / "5.1.0", row


WHOLE = {"train": [640_583, 640_584], "validation": [50_000]}


def test_two_photographs_are_not_imagenet(imagenet):
    folder, row = imagenet
    describe(folder, {"train": [1, 1], "validation": [50_000]})
    assert row()["examples"] == {"train": 2, "validation": 50_000}
    problem = row()["problem"]
    assert f"{folder} holds 2 of 1,281,167 of train; put the official files there" in problem
    assert datasets.check("imagenet") == datasets.glance("imagenet") == [problem]
    describe(folder, WHOLE)
    assert row()["problem"] is None
    assert row()["state"] == "in TFDS_DATA_DIR"
    assert "do: repro data prepare imagenet" in datasets.check("imagenet")[0]


@pytest.mark.parametrize("lengths", [{"train": [1_281_168]}, {"train": [0]}, {"train": []}])
def test_other_numbers_are_not_imagenet_either(imagenet, lengths):
    folder, row = imagenet
    describe(folder, {**WHOLE, **lengths})
    assert "of 1,281,167 of train" in row()["problem"]


def test_a_missing_or_empty_file_of_records_is_told(imagenet):
    folder, row = imagenet
    describe(folder, WHOLE, files={"train": [0], "validation": [0]})
    missing = "lacks the file imagenet2012-train.tfrecord-00001-of-00002; put the whole file there"
    assert missing in row()["problem"]
    file = folder / "imagenet2012-train.tfrecord-00001-of-00002"
    file.write_bytes(b"")
    assert missing in row()["problem"]
    file.write_bytes(b"records")
    assert row()["problem"] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"splits": 7}',
        '{"splits": [{"name": "train", "shardLengths": ["x"]}]}',
        '{"splits": [{"name": "train", "shardLengths": ["5"]}]}',
    ],
    ids=lambda text: text[:12],
)
def test_a_description_that_is_none_is_told(imagenet, text):
    folder, row = imagenet
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(text)
    assert "does not describe ImageNet" in row()["problem"]
    assert "move that folder away and do: repro data prepare imagenet" in row()["problem"]
    folder.rename(folder.with_name("away"))
    assert (row()["state"], row()["problem"]) == ("missing", None)


def test_a_prepared_folder_of_two_is_not_imagenet(imagenet, monkeypatch):
    """Whoever made it, and whatever its record says."""
    _, row = imagenet
    folder = Path(os.environ["REPRO_DATA_DIR"]) / "imagenet-5.1.0"
    folder.mkdir(parents=True)
    arrays = {}
    for split in ("train", "validation"):
        files, labels = [jpeg(1), jpeg(2)], np.array([0, 1], np.int32)
        values = {
            "encoded": np.frombuffer(b"".join(files), np.uint8),
            "ends": np.cumsum([len(file) for file in files]),
            "labels": labels,
        }
        for kind, array in values.items():
            np.save(folder / f"{split}-{kind}.npy", array)
            size = (folder / f"{split}-{kind}.npy").stat().st_size
            digest = hashlib.sha256(array).hexdigest()
            arrays[f"{split}-{kind}"] = {"sha256": digest, "bytes": size}
    record = {"name": "imagenet", "version": "5.1.0", "content": {}, "decoded": True}
    record |= {"arrays": arrays, "examples": {"train": 2, "validation": 2}}
    (folder / "facts.json").write_text(json.dumps(record))
    for problem in (row()["problem"], *datasets.check("imagenet"), *datasets.glance("imagenet")):
        assert "not of ImageNet" in problem
        # Nothing is there to prepare it from again: first that, then the folder is deleted.
        assert problem.index("put ILSVRC2012_img_train.tar") < problem.index("delete the folder")


# ---------------------------------------------------------------------------- ImageNet is missing


def test_without_its_archives_imagenet_is_missing(imagenet, capsys):
    folder = Path(os.environ["TFDS_DATA_DIR"]) / "downloads" / "manual"
    assert cli.main(["data", "prepare", "imagenet"]) == 3
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    both = "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
    for words in ("licence", f"put {both} into {folder}", "repro data prepare imagenet"):
        assert words in error
    assert "imagenette" in error
    assert imagenet[1]()["state"] == "missing"


# ---------------------------------------------------------------------------- the real Imagenette


@pytest.fixture(scope="module")
def imagenette(real_data, tmp_path_factory):
    """The folder of TFDS; what is prepared of it is kept for the tests of this module."""
    folder = real_data("imagenette") / "160px-v2" / "1.0.0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRO_DATA_DIR", str(tmp_path_factory.mktemp("imagenette")))
        datasets.prepare("imagenette")
        yield folder


def test_imagenette_is_imagenette(imagenette):
    facts = json.loads((imagenette / "dataset_info.json").read_text())
    stored = {s["name"]: sum(map(int, s["shardLengths"])) for s in facts["splits"]}
    assert datasets.facts("imagenette")["examples"] == stored
    assert datasets.check("imagenette") == []
    # Photographs per class, as in the folders of the official archive.
    counts = [387, 395, 357, 386, 409, 394, 389, 419, 399, 390]
    validation = datasets.load("imagenette", "validation")
    assert np.bincount(validation.labels).tolist() == counts
    assert len(validation.images) == sum(counts) == 3925
    train = datasets.load("imagenette", "train[:1000]")
    assert isinstance(train.images, Photographs)
    assert len(train.images) == len(train.labels) == 1000


def test_photographs_are_decoded_as_tensorflow_decodes_them(imagenette):
    tf = pytest.importorskip("tensorflow")
    photographs = datasets.load("imagenette", "validation[:24]").images
    for number, image in enumerate(photographs[:]):
        wanted = tf.io.decode_jpeg(
            photographs.file(number), channels=3, dct_method="INTEGER_ACCURATE"
        ).numpy()
        assert image.shape == wanted.shape
        assert min(image.shape[:2]) == 160
        assert np.abs(image.astype(float) - wanted).mean() < 1
