"""A tiny ImageNet, in the layout and with the names of the official files."""

import dataclasses
import hashlib
import io
import tarfile

import numpy as np
from PIL import Image

from repro.data import sets
from repro.data.sets import Archive

TRAIN, VAL, KIT = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12"
# As the development kit counts the classes; labels count them by the alphabet.
CLASSES = ("n02105855", "n01440764", "n09193705", "n01751748")
LABELS = {"n01440764": 0, "n01751748": 1, "n02105855": 2, "n09193705": 3}
# What each photograph of validation shows, by the numbers of the development kit.
SHOWN = (4, 3, 1, 2, 2, 1, 3, 4)


def picture(seed, height=30, width=40):
    """A smooth picture, another for each seed."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(corners).resize((width, height))


def file(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_broken_exif():
    """A JPEG whose EXIF data ends before it says so."""
    tags = Image.Exif()
    tags[0x0112] = 1
    whole = file(picture(77), exif=tags)
    place = whole.index(b"Exif\0\0") + 14
    return whole[:place] + b"\xff\xff" + whole[place + 2 :]


def photographs():
    """{name of class: {name of file: file}}; and {name: file} for validation."""
    train = {
        name: {f"{name}_{i}.JPEG": file(picture(10 * label + i, 20 + i)) for i in (10026, 7, 354)}
        for name, label in LABELS.items()
    }
    validation = {
        f"ILSVRC2012_val_{i:08}.JPEG": file(picture(100 + i)) for i in range(1, len(SHOWN) + 1)
    }
    return train, validation


def tar(files):
    """An archive of {name: content}."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(content)
            archive.addfile(facts, io.BytesIO(content))
    return stream.getvalue()


def devkit(shown=SHOWN, classes=CLASSES):
    """The development kit: a table of the classes, and a number for each photograph."""
    from scipy.io import savemat

    table = np.array(
        [(number, name, 0) for number, name in enumerate(classes, 1)],
        [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")],
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": table[:, None]})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as kit:
        for name, content in (
            ("meta.mat", meta.getvalue()),
            ("ILSVRC2012_validation_ground_truth.txt", "".join(f"{n}\n" for n in shown).encode()),
        ):
            facts = tarfile.TarInfo(f"{KIT}/data/{name}")
            facts.size = len(content)
            kit.addfile(facts, io.BytesIO(content))
    return stream.getvalue()


def place(folder, train, validation):
    """Puts the archives into `folder`; the data set of which they are the official ones."""
    folder.mkdir(parents=True, exist_ok=True)
    tars = {
        "train": (TRAIN, tar({f"{name}.tar": tar(files) for name, files in train.items()})),
        # The official archive does not hold them in their order either.
        "validation": (VAL, tar(dict(reversed(validation.items())))),
    }
    for name, content in tars.values():
        (folder / name).write_bytes(content)
    (folder / f"{KIT}.tar.gz").write_bytes(devkit())
    lines = "".join(f"{CLASSES[number - 1]}\n" for number in SHOWN)
    return dataclasses.replace(
        sets.DATASETS["imagenet"],
        classes=4,
        examples={"train": sum(map(len, train.values())), "validation": len(validation)},
        per_class={"train": (1, 5), "validation": (2, 2)},
        archives={
            split: Archive(name, len(content), hashlib.sha256(content).hexdigest())
            for split, (name, content) in tars.items()
        },
        labels=hashlib.sha256(lines.encode()).hexdigest(),
    )


def in_order(split, files):
    """[(name, file)] in the order of TensorFlow Datasets: by the MD5 of split and name."""

    def key(item):
        return int(hashlib.md5((split + item[0]).encode()).hexdigest(), 16)

    return sorted(files.items(), key=key)


def wanted(train, validation):
    """{split: [(name, file, label)]} as the prepared set holds them."""
    of_train = {
        name: (content, LABELS[wnid])
        for wnid, files in train.items()
        for name, content in files.items()
    }
    of_validation = {
        name: (content, LABELS[CLASSES[number - 1]])
        for (name, content), number in zip(sorted(validation.items()), SHOWN, strict=True)
    }
    return {
        split: [(name, *pair) for name, pair in in_order(split, pairs)]
        for split, pairs in (("train", of_train), ("validation", of_validation))
    }
