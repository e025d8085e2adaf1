"""How many photographs a second become batches: this harness, PyTorch's DataLoader, tf.data.

    python tests/programs/photographs_a_second.py [ROUNDS [SECONDS]]

Each contender decodes the same JPEGs, makes crops of random scale or part of them, mirrors half of
them and subtracts the mean colour: float32 batches of 64, on as many processes or threads as cores.
Photographs are those of Imagenette, of 160 pixels, and the same enlarged to 500 x 375 as ImageNet's
are. Crops: "scale", the photograph rescaled and cut (VGG, ResNet); "part", a part of any shape
resized (GoogLeNet, DenseNet). TensorFlow decodes only that part; the harness only what either crop
needs, of photographs that were marked before, which is not timed. Contenders take turns; the
medians of the rounds and their ratios are printed. Needs Imagenette and TensorFlow; PyTorch and
torchvision take part where they are installed.
"""

import io
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from repro import machine
from repro.data import jpegs

MEAN = (123.0, 117.0, 104.0)
BATCH, COUNT = 64, 300
# The photographs' size, the crop's side, the scales.
SIZES = {"160": (None, 128, 146, 274), "500x375": ((500, 375), 224, 256, 480)}
CROPS = ("scale", "part")
MARKED = ("marks", "marked")  # the marks of all, and the place after the last of each photograph
CONTENDERS = ("harness", "dataloader", "tf.data")


def photographs(size: tuple[int, int] | None) -> list[bytes]:
    from PIL import Image

    from repro.data import datasets

    kept = datasets.load("imagenette", "validation").images
    files = [kept.file(number) for number in range(0, 13 * COUNT, 13)]
    return files if size is None else [enlarged(Image.open(io.BytesIO(f)), size) for f in files]


def enlarged(image, size: tuple[int, int]) -> bytes:
    size = size if image.width >= image.height else size[::-1]
    stream = io.BytesIO()
    image.convert("RGB").resize(size).save(stream, "JPEG", quality=92, subsampling="4:2:0")
    return stream.getvalue()


def harness(encoded: Path, ends: np.ndarray, crop: str, side: int, smallest: int, largest: int):
    from repro.data.augmentation import Chain, Preprocessed
    from repro.data.batches import Batches
    from repro.data.colours import Centred
    from repro.data.crops import InceptionCrop, ScaleJitter
    from repro.data.photographs import Photographs, Ragged

    marks, marked = (np.load(encoded.with_suffix(f".{kind}.npy"), "r") for kind in MARKED)
    files = Ragged(np.load(encoded, mmap_mode="r"), ends)
    images = Photographs(files, marks=Ragged(marks, marked))
    first = {
        "scale": ScaleJitter(side, smallest, largest),
        "part": InceptionCrop(side, interpolations=("bilinear",)),
    }[crop]
    chain = Chain((first, Preprocessed((Centred(np.array(MEAN), 1.0),))))
    batches = Batches(images, np.zeros(len(images), np.int32), BATCH, 0, chain)
    return batches.stream(0, 10**6, 1)


def dataloader(encoded: Path, ends: np.ndarray, crop: str, side: int, smallest: int, largest: int):
    import torch
    from PIL import Image
    from torchvision import transforms

    files = split(encoded, ends)
    rescaled = transforms.functional.resize

    def scaled(image):
        image = rescaled(image, int(torch.randint(smallest, largest + 1, (1,))))
        return transforms.RandomCrop(side)(image)

    made = transforms.Compose(
        [
            scaled if crop == "scale" else transforms.RandomResizedCrop(side),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([level / 255 for level in MEAN], (1 / 255,) * 3),
        ]
    )

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return 10**8

        def __getitem__(self, index):
            return made(Image.open(io.BytesIO(files[index % len(files)])).convert("RGB")), 0

    return iter(torch.utils.data.DataLoader(Files(), BATCH, num_workers=machine.cores()))


def tf_data(encoded: Path, ends: np.ndarray, crop: str, side: int, smallest: int, largest: int):
    import tensorflow as tf

    files = split(encoded, ends)

    def scaled(file):
        image = tf.io.decode_jpeg(file, channels=3)
        shape = tf.shape(image)[:2]
        shorter = tf.random.uniform((), smallest, largest + 1, tf.int32)
        factor = shorter / tf.reduce_min(shape)
        shape = tf.cast(tf.round(tf.cast(shape, factor.dtype) * factor), tf.int32)
        return tf.image.random_crop(tf.image.resize(image, shape), (side, side, 3))

    def of_part(file):
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(file),
            tf.zeros((1, 0, 4)),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([begin[:2], size[:2]], axis=0)
        image = tf.io.decode_and_crop_jpeg(file, window, channels=3)
        return tf.image.resize(image, (side, side))

    cut = scaled if crop == "scale" else of_part

    def made(file):
        return tf.image.random_flip_left_right(cut(file)) - tf.constant(MEAN), 0

    data = tf.data.Dataset.from_tensor_slices(files).repeat()
    return iter(data.map(made, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(2))


def split(encoded: Path, ends: np.ndarray) -> list[bytes]:
    whole = np.load(encoded).tobytes()
    return [whole[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def turn(name: str, folder: str, size: str, crop: str, seconds: float) -> None:
    """Prints how many photographs a second this contender makes."""
    make = {"harness": harness, "dataloader": dataloader, "tf.data": tf_data}[name]
    file = Path(folder, f"{size}.npy")
    batches = make(file, np.load(file.with_suffix(".ends.npy")), crop, *SIZES[size][1:])
    for _ in range(4):
        next(batches)
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        made += np.size(np.asarray(next(batches)[1]))
    print(made / (time.perf_counter() - began))


def main(rounds: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size, (pixels, *_) in SIZES.items():
            files = photographs(pixels)
            np.save(Path(folder, f"{size}.npy"), np.frombuffer(b"".join(files), np.uint8))
            np.save(Path(folder, f"{size}.ends.npy"), np.cumsum([len(file) for file in files]))
            marks = [jpegs.marks(file) for file in files]
            np.save(Path(folder, f"{size}.marks.npy"), np.concatenate(marks))
            np.save(Path(folder, f"{size}.marked.npy"), np.cumsum([len(m) for m in marks]))
        found: dict[tuple, list[float]] = {}
        for _ in range(rounds):
            for size in SIZES:
                for crop in CROPS:
                    for name in CONTENDERS:
                        asked = [name, folder, size, crop, str(seconds)]
                        told = subprocess.run(
                            [sys.executable, __file__, *asked], capture_output=True, text=True
                        )
                        if told.returncode == 0:
                            key = size, crop, name
                            found.setdefault(key, []).append(float(told.stdout.split()[-1]))
    cores = machine.cores()
    print(f"photographs a second on {cores} cores; medians of {rounds} rounds")
    for size in SIZES:
        for crop in CROPS:
            rates = {n: found[size, crop, n] for n in CONTENDERS if (size, crop, n) in found}
            ours = rates.pop("harness")
            line = f"{size:8} {crop:6} harness {statistics.median(ours):6.0f}"
            for name, others in rates.items():
                ratios = sorted(a / b for a, b in zip(ours, others, strict=True))
                line += f"   {name} {statistics.median(others):6.0f}"
                line += f" ({statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(line)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0] in CONTENDERS:
        turn(*arguments[:4], float(arguments[4]))
    else:
        rounds, seconds = (*arguments, *("5", "3")[len(arguments) :])
        main(int(rounds), float(seconds))
