"""The datasets that the harness knows, each with the digest of its content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from repro.data.photographs import Photographs

# Takes how much of something long is done, and of how much.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Split:
    """Examples in stored order: images uint8 [N, H, W, C], or photographs, and labels int32 [N]."""

    images: np.ndarray | Photographs
    labels: np.ndarray


@dataclass(frozen=True)
class Archive:
    """A tar of photographs that people must fetch themselves, by its size and its SHA-256.

    It holds photographs, or a tar of photographs for each class, named by the class.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A dataset that the harness knows.

    shape: of an image; None for photographs, each of its own size.
    content: what each split must hold, in any order: see `content_digest`. Of photographs, a split
    without an entry is held to its number of `examples`, and to the least and most of a class that
    `per_class` gives; one that `partial` names may hold fewer.
    source: "tfds" (`tfds`, or else `name`, at `version` there), "scikit-learn" (comes with that
    package) or "drawn here" (`repro.data.strokes`). archives: of each split, where a licence
    forbids to download it. labels: the SHA-256 of the classes of the photographs in archives
    without classes, in the order of their names, a line for each.
    names: of the classes, in their order; after them, what an image is called that a network takes
    for none of them.
    """

    name: str
    version: str
    title: str
    source: str
    classes: int
    shape: tuple[int, int, int] | None
    examples: Mapping[str, int]
    content: Mapping[str, str]
    tfds: str | None = None
    partial: tuple[str, ...] = ()
    per_class: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    archives: Mapping[str, Archive] = field(default_factory=dict)
    labels: str = ""
    names: tuple[str, ...] = ()

    def class_name(self, number: int) -> str:
        """What a class is called: its number where it has no other name."""
        return self.names[number] if number < len(self.names) else str(number)


# As TensorFlow Datasets numbers them, by the alphabet.
CLASSES_OF_CIFAR_100 = (
    "apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, "
    "bridge, bus, butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, "
    "cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish, forest, "
    "fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower, leopard, lion, lizard, "
    "lobster, man, maple tree, motorcycle, mountain, mouse, mushroom, oak tree, orange, orchid, "
    "otter, palm tree, pear, pickup truck, pine tree, plain, plate, poppy, porcupine, possum, "
    "rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, "
    "snake, spider, squirrel, streetcar, sunflower, sweet pepper, table, tank, telephone, "
    "television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale, willow tree, wolf, "
    "woman, worm"
)

DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="mnist",
            version="3.0.1",
            title="MNIST handwritten digits",
            source="tfds",
            classes=10,
            shape=(28, 28, 1),
            examples={"train": 60_000, "test": 10_000},
            content={
                "train": "b74236c7f4738026eecf04c60652e8424b3e9839cc1ef9de881b17895323a2ce",
                "test": "e15371d9abdc3efb9fc34f99c5e6ee8fe5f0218b2b747821631ac60e93d0023a",
            },
        ),
        Dataset(
            name="digits",
            version="1",
            title="Digits of 8x8 pixels that come with scikit-learn",
            source="scikit-learn",
            classes=10,
            shape=(8, 8, 1),
            examples={"train": 1_437, "test": 360},
            content={
                "train": "4b0e643c3d3e7d44726db155ecd4714fcf17662d289636bd54477cf10633474e",
                "test": "c741fbb826acc69f2d0f6a1511cfeec468432fb901ac6a927120d04eb0179a8d",
            },
        ),
        Dataset(
            name="strokes",
            version="1",
            title="Digits 0 to 4 drawn in lines, 16x16; shifted and distorted",
            source="drawn here",
            classes=5,
            shape=(16, 16, 1),
            examples={"train": 5, "test": 490},
            content={
                "train": "0a1d2b918f1de611e7216e4ced84ac05b99c4559e1f81cf55a916462ee1179e1",
                "test": "81a3b0d88419bdf59d4a07432e6772e389c1366ef35227cacdc4372d8e4fd846",
            },
            names=("0", "1", "2", "3", "4", "no digit"),
        ),
        Dataset(
            name="cifar10",
            version="3.0.2",
            title="CIFAR-10 colour photographs",
            source="tfds",
            classes=10,
            shape=(32, 32, 3),
            examples={"train": 50_000, "test": 10_000},
            content={
                "train": "530cf98e0732d8902814b643dc8332c1b0cba8f33d53ca80a1f6955854756d4e",
                "test": "e408786c90b3992f58419513e1ffbbd1b908334bf0c3ff33cf8f7aa8e01d5123",
            },
            names=(
                *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"),
                "truck",
            ),
        ),
        Dataset(
            name="cifar100",
            version="3.0.2",
            title="CIFAR-100 colour photographs",
            source="tfds",
            classes=100,
            shape=(32, 32, 3),
            examples={"train": 50_000, "test": 10_000},
            content={
                "train": "cf6dacb0bb34fd9e10971285ad0956e2f4b422538afcfc794dd54b33bb569c08",
                "test": "d4c66ddcf31248be4a79decce44fbde41ecc0e674287c0497f659f3387c6dcc9",
            },
            names=tuple(CLASSES_OF_CIFAR_100.split(", ")),
        ),
        Dataset(
            name="imagenette",
            version="1.0.0",
            title="Imagenette: ten classes of ImageNet, 160 pixels",
            source="tfds",
            tfds="imagenette/160px-v2",
            classes=10,
            shape=None,
            examples={"train": 9_469, "validation": 3_925},
            content={
                "validation": "cf1a72f6a6abecc704ab7a110d86bc74ccd36a72d21a1a64e0981bf735630f31"
            },
            partial=("train",),
            per_class={"train": (858, 993)},
            names=(
                *("tench", "springer", "cassette player", "chain saw", "church"),
                *("French horn", "garbage truck", "gas pump", "golf ball", "parachute"),
            ),
        ),
        Dataset(
            name="imagenet",
            version="5.1.0",
            title="ImageNet: photographs of ILSVRC 2012",
            source="tfds",
            tfds="imagenet2012",
            classes=1000,
            shape=None,
            examples={"train": 1_281_167, "validation": 50_000},
            content={},
            per_class={"train": (732, 1300), "validation": (50, 50)},
            # TensorFlow Datasets, datasets/imagenet2012/checksums.tsv, and torchvision's
            # prototype of ImageNet say the same of both.
            archives={
                "train": Archive(
                    "ILSVRC2012_img_train.tar",
                    147_897_477_120,
                    "b08200a27a8e34218a0e58fde36b0fe8f73bc377f4acea2d91602057c3ca45bb",
                ),
                "validation": Archive(
                    "ILSVRC2012_img_val.tar",
                    6_744_924_160,
                    "c7e06a6c0baccf06d8dbeb6577d71efff84673a5dbdd50633ab44f8ea0456ae0",
                ),
            },
            # Of TensorFlow Datasets' file datasets/imagenet2012/validation_labels.txt.
            labels="313fc3f23c864dde9183c9a368809065765dd1b657a6904fded44e3e46d34604",
        ),
    )
}
