"""ImageNet from its archives: held to their digests, prepared once, gone on with where stopped."""

import dataclasses
import errno
import hashlib
import importlib.util
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_imagenet as tiny
from users import another_user

from repro import cli, doctor
from repro.data import archives, datasets, growing, sets, sources, writing
from repro.data.workplace import kept
from repro.errors import DataError, RunError

SPLITS = ("train", "validation")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Puts a tiny ImageNet's archives where they belong; two photographs are held at a time."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(archives, "SOME", 2)
    monkeypatch.setattr(growing, "UNKEPT", 1)

    def put(train, validation):
        dataset = tiny.place(tmp_path / "tfds" / "downloads" / "manual", train, validation)
        monkeypatch.setitem(sets.DATASETS, "imagenet", dataset)
        return dataset

    return put


@pytest.fixture
def imagenet(place, tmp_path):
    """The folder of the archives of a tiny ImageNet, all there."""
    place(*tiny.photographs())
    return tmp_path / "tfds" / "downloads" / "manual"


def run(*arguments):
    """A command: its exit code; what it prints is in `capsys`."""
    return cli.main(["data", *arguments, "imagenet"])


def refused(capsys, code=3):
    """The one line in which `prepare` refuses."""
    assert run("prepare") == code
    error = capsys.readouterr().err
    (line,) = (line for line in error.splitlines() if line.startswith("error: "))
    return line


def row():
    return next(row for row in datasets.available() if row["name"] == "imagenet")


def seen_by_doctor():
    return doctor._data(row())


def prepared(name=""):
    return Path(os.environ["REPRO_DATA_DIR"]) / "imagenet-5.1.0" / name


def aside(name=""):
    return Path(os.environ["REPRO_DATA_DIR"]) / "imagenet-5.1.0.preparing" / name


def held(split):
    """[(name, file, label)] of the prepared set."""
    whole = datasets.load("imagenet", split)
    names = np.load(prepared(f"{split}-names.npy"))
    return [
        (name.decode(), whole.images.file(number), int(label))
        for number, (name, label) in enumerate(zip(names, whole.labels, strict=True))
    ]


def well(train=None, validation=None):
    """Whether the prepared set is what was put into the archives."""
    pictures = tiny.photographs()
    whole = tiny.wanted(train or pictures[0], validation or pictures[1])
    assert datasets.check("imagenet") == []
    assert [path.name for path in prepared().parent.iterdir()] == ["imagenet-5.1.0"]
    ends = {path.name.split("-")[-1] for path in prepared().iterdir()}
    marks = {"marks.json", "marks.npy"}  # and train-marks-ends.npy
    assert ends == {"encoded.npy", "ends.npy", "labels.npy", "names.npy", "facts.json"} | marks
    return all(held(split) == whole[split] for split in SPLITS)


@pytest.fixture
def reads(monkeypatch):
    """What is read of the archives: the names of those read through; the places of photographs."""
    seen = SimpleNamespace(through=[], places=[])
    through, read = archives._read_through, archives._read

    def told_through(path, *rest):
        seen.through.append(path.name)
        return through(path, *rest)

    def told_read(handle, path, place):
        seen.places.append((path.name, *map(int, place)))
        return read(handle, path, place)

    monkeypatch.setattr(archives, "_read_through", told_through)
    monkeypatch.setattr(archives, "_read", told_read)
    return seen


# ---------------------------------------------------------------------------- all is well


def test_the_archives_are_prepared_checked_and_loaded(imagenet, reads, capsys):
    assert row()["state"] == "archives in TFDS_DATA_DIR"
    assert run("prepare") == 0
    assert run("check") == 0
    assert "imagenet: ok: all of 12 train and 8 validation" in capsys.readouterr().out
    assert well()
    assert sorted(reads.through) == [tiny.TRAIN, tiny.VAL]
    assert len(set(reads.places)) == len(reads.places) == 20
    assert seen_by_doctor() == (True, f"all of 12 train and 8 validation, in {prepared()}")
    assert datasets.facts("imagenet")["examples"] == {"train": 12, "validation": 8}


def test_preparing_tells_how_far_it_is(imagenet):
    verified, steps = [], []
    datasets.prepare("imagenet", lambda *step: steps.append(step), lambda *s: verified.append(s))
    size = sum((imagenet / name).stat().st_size for name in (tiny.TRAIN, tiny.VAL))
    assert verified == sorted(verified) and verified[-1] == (size, size)
    assert steps == [(done, 20) for done in range(2, 21, 2)]


def test_the_official_archives_are_those_that_others_know():
    """Sizes and SHA-256 in the list of TensorFlow Datasets; MD5 is what torchvision holds to."""
    package = importlib.util.find_spec("tensorflow_datasets")
    if package is None:
        pytest.skip("needs tensorflow-datasets")
    folder = Path(package.origin).parent / "datasets" / "imagenet2012"
    listed = [line.split() for line in (folder / "checksums.tsv").read_text().splitlines()]
    listed = {(url.rsplit("/")[-1], int(size), digest) for url, size, digest in listed}
    known = sets.DATASETS["imagenet"].archives.values()
    assert {(archive.name, archive.bytes, archive.sha256) for archive in known} == listed


def test_the_classes_of_validation_come_with_tensorflow_datasets():
    """The first three show a sea snake, an alp and a Shetland sheepdog."""
    if importlib.util.find_spec("tensorflow_datasets") is None:
        pytest.skip("needs tensorflow-datasets")
    labels = archives._labels(sets.DATASETS["imagenet"])
    assert labels[:3] == [b"n01751748", b"n09193705", b"n02105855"]
    counts = np.unique(labels, return_counts=True)[1]
    assert len(counts) == 1000 and set(counts) == {50}


ODD = {
    "a PNG": tiny.file(tiny.picture(1), "PNG"),
    "CMYK": tiny.file(tiny.picture(2).convert("CMYK")),
    "grey": tiny.file(tiny.picture(3).convert("L")),
    "broken EXIF": tiny.with_broken_exif(),
    "progressive": tiny.file(tiny.picture(4), progressive=True),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("odd", ODD)
def test_odd_photographs_are_kept_as_they_came(place, odd):
    """ImageNet has one PNG under the name of a JPEG, 22 JPEGs in CMYK, and grey ones."""
    train, validation = tiny.photographs()
    train["n02105855"]["n02105855_2933.JPEG"] = ODD[odd]
    place(train, validation)
    datasets.prepare("imagenet")
    assert well(train)
    assert {image.shape[2:] for image in datasets.load("imagenet", "train").images[:]} == {(3,)}


# ---------------------------------------------------------------------------- TFDS' own set of it


def test_what_tfds_makes_of_the_archives_is_prepared_to_the_same_bytes(
    imagenet, tmp_path, monkeypatch
):
    """Its own program makes it here. It writes CMYK and the PNG anew, so here is none of them."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from tensorflow_datasets.datasets.imagenet2012 import imagenet_common

    datasets.prepare("imagenet")
    ours = {file.name: file.read_bytes() for file in prepared().iterdir()}
    (tmp_path / "classes").write_text("".join(f"{name}\n" for name in sorted(tiny.CLASSES)))
    names = sorted(tiny.photographs()[1])
    shown = {n: tiny.CLASSES[k - 1] for n, k in zip(names, tiny.SHOWN, strict=True)}
    monkeypatch.setattr(imagenet_common, "label_names_file", lambda: str(tmp_path / "classes"))
    monkeypatch.setattr(imagenet_common, "get_validation_labels", lambda path: shown)
    root = Path(os.environ["TFDS_DATA_DIR"])
    builder = tfds.builder("imagenet2012:5.1.0", data_dir=str(root))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(imagenet))
    )
    imagenet.rename(root / "away")
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "another"))
    assert row()["state"] == "in TFDS_DATA_DIR"
    monkeypatch.setattr(writing, "fault", stopped_at(9))
    with pytest.raises(DataError, match=r"photograph 9 of train \(n0.*\.JPEG\) in .*imagenet2012"):
        datasets.prepare("imagenet")
    assert growing.counted(aside(), "train") == 9
    asked, batches = [], sources.tfds_batches
    monkeypatch.setattr(writing, "fault", lambda file: None)
    monkeypatch.setattr(
        sources,
        "tfds_batches",
        lambda builder, name, *more, **also: (
            asked.append(name) or batches(builder, name, *more, **also)
        ),
    )
    datasets.prepare("imagenet")
    assert asked == ["train[9:]", "validation"]
    assert {file.name: file.read_bytes() for file in prepared().iterdir()} == ours


def stopped_at(number):
    """A `fault` of photographs that says so of one of them, counted from 0."""
    train, validation = tiny.photographs()
    whole = tiny.wanted(train, validation)["train"][number][1]
    return lambda file: "it is broken" if bytes(file) == whole else None


# ---------------------------------------------------------------------------- the archives are not


def test_a_missing_archive_is_told_with_what_is_there(imagenet, capsys):
    (imagenet / tiny.TRAIN).unlink()
    line = refused(capsys)
    assert f"needs a licence: register at image-net.org, put {tiny.TRAIN} into {imagenet}" in line
    assert tiny.VAL not in line
    assert row()["state"] == "missing"
    assert datasets.check("imagenet") == [
        f"imagenet is not prepared ({tiny.VAL} in {imagenet}, lacking {tiny.TRAIN}); do: repro "
        "data prepare imagenet"
    ]
    ok, detail = seen_by_doctor()
    assert ok is None and f"missing ({tiny.VAL} in {imagenet}, lacking {tiny.TRAIN})" in detail
    assert not prepared().parent.exists()


@pytest.mark.parametrize("size", [0, 10_000, 1_000_000])
def test_a_wrong_size_is_told_without_reading(imagenet, capsys, monkeypatch, size):
    official = (imagenet / tiny.TRAIN).stat().st_size
    os.truncate(imagenet / tiny.TRAIN, size)
    monkeypatch.setattr(archives, "_opened", None)
    line = refused(capsys)
    told = f"{imagenet / tiny.TRAIN} has {size:,} bytes, the official file {official:,}"
    assert line == f"error: {told}: put the whole file there"
    assert datasets.check("imagenet") == [f"{told}: put the whole file there"]
    assert seen_by_doctor() == (False, f"{told}: put the whole file there")
    assert not prepared().parent.exists()


def spoil(path, place):
    """Turns a bit of a file, and leaves its time as it was."""
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# The first byte; in the header of the second class; of a photograph; of what fills up the end.
@pytest.mark.parametrize("where", [0, "n01751748.tar", "JFIF", -1])
def test_another_file_of_the_same_size_is_read_once_and_refused(imagenet, capsys, reads, where):
    path = imagenet / tiny.TRAIN
    whole = path.read_bytes()
    spoil(path, whole.index(where.encode()) if isinstance(where, str) else where)
    line = refused(capsys)
    if where != 0:
        assert f"{path} is not the official file: its SHA-256 is " in line
        assert hashlib.sha256(path.read_bytes()).hexdigest() in line
        assert hashlib.sha256(whole).hexdigest() in line
        assert refused(capsys) == line
        assert reads.through == [tiny.VAL, tiny.TRAIN]
    else:
        assert f"{path} is damaged, before its byte" in line
    assert "put the official file there" in line
    assert reads.places == []
    reads.through.clear()
    path.write_bytes(whole)
    os.utime(path)
    datasets.prepare("imagenet")
    assert reads.through == [tiny.TRAIN]  # the other is remembered
    assert well()


def test_the_digest_is_taken_again_where_a_file_has_another_time(imagenet, reads, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "fault", stopped_at(3))
        with pytest.raises(DataError):
            datasets.prepare("imagenet")
    reads.through.clear()
    os.utime(imagenet / tiny.VAL, (1, 1))
    datasets.prepare("imagenet")
    assert reads.through == [tiny.TRAIN, tiny.VAL] or reads.through == [tiny.VAL, tiny.TRAIN]
    assert well()


def test_the_classes_of_validation_may_be_lacking_or_wrong(imagenet, capsys, monkeypatch):
    kit = imagenet / f"{tiny.KIT}.tar.gz"
    whole = kit.read_bytes()
    wrong = {
        "no gzip": b"<html>",
        "half": whole[: len(whole) // 2],
        "other classes": tiny.devkit(shown=(4, 3, 1, 2, 2, 1, 4, 3)),
        # Numbered by the alphabet, as labels are: the trap of this set.
        "sorted": tiny.devkit(classes=sorted(tiny.CLASSES)),
        "unknown": tiny.devkit(shown=(4, 3, 1, 2, 2, 1, 3, 5)),
    }
    for content in wrong.values():
        kit.write_bytes(content)
        assert f"{kit} does not hold the classes of ImageNet" in refused(capsys)
    kit.unlink()
    line = refused(capsys)
    assert f"put the official {tiny.KIT}.tar.gz into {imagenet}" in line
    assert "pip install tensorflow-datasets" in line
    kit.write_bytes(whole)
    datasets.prepare("imagenet")
    assert well()


def test_an_archive_that_is_closed_to_the_user(imagenet, tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
    tmp_path.chmod(0o777)
    (imagenet / tiny.VAL).chmod(0)
    assert archives.complete(sets.DATASETS["imagenet"])  # imports what reads the kit, as well
    with another_user(), pytest.raises(DataError) as error:
        datasets.prepare("imagenet")
    assert f"{imagenet / tiny.VAL} cannot be read: Permission denied" in str(error.value)
    assert f"ask for `chmod -R a+rX {imagenet}`" in str(error.value)
    (imagenet / tiny.VAL).chmod(0o644)
    with another_user():
        datasets.prepare("imagenet")
    assert well()


# ---------------------------------------------------------------------------- broken photographs

BROKEN = {
    "half a JPEG": lambda file: file[: len(file) // 2],
    "a page of HTML": lambda file: b"<html><body>Please log in</body></html>",
    "nothing": lambda file: b"",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_photograph_is_named_before_anything_is_trained(place, broken, capsys):
    train, validation = tiny.photographs()
    name, photograph, _ = tiny.wanted(train, validation)["train"][5]
    train[name.split("_")[0]][name] = BROKEN[broken](photograph)
    place(train, validation)
    line = refused(capsys)
    assert f"photograph 5 of train ({name}) in " in line
    assert f"{tiny.TRAIN} cannot be decoded: " in line
    assert "reads the archive again" in line
    assert datasets.check("imagenet") == [
        f"imagenet is not whole: partial: train 5 of 12, validation 0 of 8, in {aside()}; do: "
        "repro data prepare imagenet"
    ]


def test_a_disk_that_changes_a_photograph_later_is_found_out(imagenet, capsys, reads, monkeypatch):
    """The archive was whole when it was verified; the next attempt verifies it again."""
    path = imagenet / tiny.TRAIN
    whole = path.read_bytes()
    name, photograph, _ = tiny.wanted(*tiny.photographs())["train"][5]
    look = archives.Archives.look

    def spoilt_after(self, aside):
        look(self, aside)
        spoil(path, whole.index(photograph))

    with monkeypatch.context() as patch:
        patch.setattr(archives.Archives, "look", spoilt_after)
        assert f"photograph 5 of train ({name}) in {path} cannot be decoded" in refused(capsys)
    assert f"{path} is not the official file" in refused(capsys)
    assert reads.through == [tiny.VAL, tiny.TRAIN, tiny.TRAIN]
    good = set(reads.places[:5])
    path.write_bytes(whole)
    os.utime(path)
    reads.places.clear()
    datasets.prepare("imagenet")
    assert not good & set(reads.places)
    assert well()


def test_the_check_names_the_files_of_broken_photographs(place, monkeypatch, capsys):
    train, validation = tiny.photographs()
    train["n01440764"]["n01440764_354.JPEG"] = b"<html>"
    place(train, validation)
    monkeypatch.setattr(writing, "fault", lambda file: None)
    datasets.prepare("imagenet")
    assert run("check") == 3
    told = capsys.readouterr().out
    assert "1 of the 12 photographs of train" in told
    assert "(n01440764_354.JPEG) it is in no format that Pillow knows" in told
    assert f"delete the folder {prepared('')}" in told


# ---------------------------------------------------------------------------- interrupted

# A process that prepares, slowly, and says how many photographs it has looked at.
PREPARING = """
import pickle, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
from repro import cli
from repro.data import archives, growing, sets, writing
sets.DATASETS["imagenet"] = pickle.loads(bytes.fromhex(sys.argv[1]))
archives.SOME, growing.UNKEPT = 2, 1
fault, seen = writing.fault, []
def slow(file):
    seen.append(file)
    sys.stdout.write(f"{len(seen)}\\n")  # at once: several threads write
    sys.stdout.flush()
    time.sleep(0.02 if len(seen) < 7 else 1)
    return fault(file)
writing.fault = slow
sys.exit(cli.main(["data", "prepare", "imagenet"]))
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_what_was_good_when_it_was_stopped_is_not_read_again(imagenet, reads, capsys, number):
    dataset = pickle.dumps(sets.DATASETS["imagenet"]).hex()
    command = [sys.executable, "-c", PREPARING, dataset]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        while int(process.stdout.readline()) < 7:
            pass
        process.send_signal(getattr(signal, number))
        _, error = process.communicate()
    if number == "SIGKILL":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert error.splitlines()[-1] == (
            "error: interrupted; prepared is train 6 of 12, validation 0 of 8: repro data prepare "
            "imagenet goes on from there"
        )
    assert row()["state"] == "partly prepared"
    assert row()["examples"] == {"train": 6, "validation": 0}
    ok, detail = seen_by_doctor()
    assert ok is None and f"partial: train 6 of 12, validation 0 of 8, in {aside()}" in detail
    assert datasets.sweep() == []
    assert run("check") == 3
    datasets.prepare("imagenet")
    assert reads.through == []
    assert len(reads.places) == 14
    assert well()


def stop(number, monkeypatch):
    """Stops a preparation before photograph `number` of `train`."""
    with monkeypatch.context() as patch:
        patch.setattr(writing, "fault", stopped_at(number))
        with pytest.raises(DataError, match=f"photograph {number} of train"):
            datasets.prepare("imagenet")
    # Nothing is wrong with the archive: as if it had been interrupted there.


def test_a_part_that_was_torn_is_written_again_from_where_it_is_good(imagenet, reads, monkeypatch):
    """As after a loss of power, on a disk that had not written what it said."""
    stop(6, monkeypatch)
    content = aside("train-encoded.npy").read_bytes()
    whole = tiny.wanted(*tiny.photographs())["train"]
    good = growing.HEADER + sum(len(file) for _, file, _ in whole[:4])
    aside("train-encoded.npy").write_bytes(content[:good] + bytes(len(content) - good))
    reads.places.clear()
    datasets.prepare("imagenet")
    assert len(reads.places) == 20 - 4
    assert well()


@pytest.mark.parametrize(
    ("name", "content", "again"),
    [
        ("train.jsonl", b"", 20),
        ("train.jsonl", b"\x00\xff{", 20),
        ("train.rows", b"", 20),
        ("train-encoded.npy", b"", 20),
        ("train-archive.npz", b"PK", 14),
        ("validation-archive.npz", b"", 14),
    ],
)
def test_what_tells_of_a_part_may_be_torn_itself(
    imagenet, reads, monkeypatch, name, content, again
):
    stop(6, monkeypatch)
    aside(name).write_bytes(content)
    reads.places.clear()
    reads.through.clear()
    datasets.prepare("imagenet")
    assert len(reads.places) == again
    assert well()


def test_a_torn_line_of_the_journal_is_none(imagenet, reads, monkeypatch):
    stop(6, monkeypatch)
    with open(aside("train.jsonl"), "a") as journal:
        journal.write('{"count": 8, "si')
    assert row()["examples"]["train"] == 6
    reads.places.clear()
    datasets.prepare("imagenet")
    assert len(reads.places) == 14
    assert well()


def test_whoever_was_killed_before_the_name_was_given_reads_nothing_again(
    imagenet, reads, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stopped)
        with pytest.raises(RunError):
            datasets.prepare("imagenet")
    reads.through.clear()
    reads.places.clear()
    datasets.prepare("imagenet")
    assert reads.through == reads.places == []
    assert well()


def stopped(*arguments):
    raise OSError(errno.EIO, "Input/output error")


def test_one_split_that_is_whole_is_left_alone(imagenet, reads, monkeypatch):
    last = tiny.wanted(*tiny.photographs())["validation"][4][1]
    with monkeypatch.context() as patch:
        patch.setattr(writing, "fault", lambda file: "broken" if file == last else None)
        with pytest.raises(DataError, match="photograph 4 of validation"):
            datasets.prepare("imagenet")
    assert row()["examples"] == {"train": 12, "validation": 4}
    monkeypatch.setattr(growing.Growing, "_good", only_of("validation", growing.Growing._good))
    reads.places.clear()
    datasets.prepare("imagenet")
    assert len(reads.places) == 4
    assert well()


def only_of(name, method):
    def reading(self, lines):
        assert name in str(self._paths)
        return method(self, lines)

    return reading


def test_two_do_not_prepare_it_at_once(imagenet, capsys):
    with kept(prepared()):
        line = refused(capsys, 4)
    assert "imagenet is being prepared in" in line and "by another process; wait for it" in line
    datasets.prepare("imagenet")
    assert well()


def test_a_part_is_removed_once_the_set_came_from_elsewhere(imagenet, monkeypatch):
    stop(6, monkeypatch)
    part = shutil.copytree(aside(), aside().with_name("copy"))
    datasets.prepare("imagenet")
    part.rename(aside())
    for path in (*aside().iterdir(), aside()):
        os.utime(path, (1, 1))
    assert datasets.sweep() == [aside()]
    assert well()


# ---------------------------------------------------------------------------- disks


def test_a_disk_without_room_is_told_before_anything_is_written(imagenet, capsys, monkeypatch):
    facts = SimpleNamespace(free=10 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: facts)
    large = dataclasses.replace(sets.DATASETS["imagenet"].archives["train"], bytes=2**37)
    with open(imagenet / tiny.TRAIN, "ab") as file:
        file.truncate(2**37)  # it takes no room
    dataset = sets.DATASETS["imagenet"]
    both = {**dataset.archives, "train": large}
    few = dataclasses.replace(dataset, archives=both)
    monkeypatch.setitem(sets.DATASETS, "imagenet", few)
    line = refused(capsys, 4)
    assert line == (
        f"error: imagenet takes 128.00 GiB more in {prepared().parent}, where 10.00 GiB are free; "
        "make room there, or set REPRO_DATA_DIR to a folder on a larger disk"
    )
    assert list(prepared().parent.iterdir()) == []


@pytest.mark.parametrize("limit", [6_000, 8_000])
def test_a_disk_that_fills_up_is_told_and_gone_on_with(imagenet, reads, capsys, limit):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        line = refused(capsys, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (
        "make room there, or set REPRO_DATA_DIR to a folder on a larger disk; prepared is" in line
    )
    count = row()["examples"]["train"]
    assert 0 < count < 12
    assert f"train {count} of 12, validation 0 of 8: repro data prepare imagenet goes on" in line
    before = len(reads.places)
    datasets.prepare("imagenet")
    assert sorted(reads.through) == [tiny.TRAIN, tiny.VAL]
    assert len(reads.places) - before == 20 - count
    assert well()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN])
def test_a_drive_of_archives_that_goes_away(imagenet, reads, capsys, monkeypatch, number):
    pread, done = os.pread, []

    def fail(*arguments):
        done.append(arguments)
        if len(done) > 6:
            raise OSError(number, os.strerror(number))
        return pread(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        line = refused(capsys)
    assert f"{imagenet / tiny.TRAIN} cannot be read: {os.strerror(number)}" in line
    assert row()["examples"]["train"] == 6
    reads.places.clear()
    reads.through.clear()
    datasets.prepare("imagenet")
    assert reads.through == [] and len(reads.places) == 14
    assert well()


def test_a_drive_of_prepared_data_that_goes_away(imagenet, reads, capsys, monkeypatch):
    fsync, done = os.fsync, []

    def fail(handle):
        done.append(handle)
        if len(done) > 12:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        line = refused(capsys, 4)
    assert "cannot write the prepared data to" in line and "Input/output error" in line
    count = row()["examples"]["train"]
    assert 0 < count < 12
    reads.places.clear()
    datasets.prepare("imagenet")
    assert len(reads.places) == 20 - count
    assert well()


# ---------------------------------------------------------------------------- experiments


@pytest.mark.parametrize("there", ["nothing", "a part"])
def test_an_experiment_refuses_a_part_of_imagenet(imagenet, capsys, monkeypatch, tmp_path, there):
    if there == "a part":
        stop(6, monkeypatch)
    (imagenet / tiny.TRAIN).unlink()
    code = cli.main(["run", "alexnet-imagenet", "--out", str(tmp_path / "runs")])
    error = capsys.readouterr().err
    assert code == 3
    (line,) = (line for line in error.splitlines() if line.startswith("error: "))
    assert line.startswith("error: imagenet is missing, and needs a licence")
    assert list((tmp_path / "runs").iterdir()) == []
