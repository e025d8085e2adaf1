"""`repro draws`: what training gets of an image."""

import re
from pathlib import Path

import numpy as np
import pytest

from repro import cli
from repro.data.augmentation import CropAndFlip
from repro.data.batches import Batches
from repro.data.distortion import DistortedCopies


@pytest.mark.parametrize(
    ("augmentation", "passes"), [(CropAndFlip(pad=2), 3), (DistortedCopies(copies=2), 2)]
)
def test_the_draws_are_what_the_passes_of_a_run_hold(augmentation, passes):
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    batches = Batches(images, np.arange(5), 5, seed=3, augmentation=augmentation)
    each = batches.size // 5
    drawn = batches.draws(2, passes * each)
    for number in range(passes):
        seen, labels = batches.chunk(number * each, each)
        of_image = seen.reshape(-1, 8, 8, 1)[labels.ravel() == 2]
        here = drawn[number * each : (number + 1) * each]
        assert sorted(x.tobytes() for x in here) == sorted(x.tobytes() for x in of_image)
    assert len({x.tobytes() for x in drawn}) == 3


def pictures(file: Path) -> int:
    return len(re.findall("<image", file.read_text()))


def test_the_sheet_has_the_image_and_a_dozen_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["draws", "neocognitron-digits", "--image", "3"]) == 0
    file = Path("neocognitron-digits-draws-3.svg")
    assert f"{file}: training image 3 of strokes" in capsys.readouterr().out
    assert pictures(file) == 1 + 12
    for text in ("Training image 3 (3) of Digits 0 to 4", "CropAndFlip(pad=3", "16x16 pixels"):
        assert text in file.read_text()


def test_what_is_not_augmented_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))
    out = tmp_path / "sheet.svg"
    assert cli.main(["draws", "lenet5-digits", "--out", str(out)]) == 0
    assert pictures(out) == 2 and "Augmentation: none." in out.read_text()


def test_the_recipe_can_be_changed(tmp_path):
    out = tmp_path / "sheet.svg"
    change = "recipe.augmentation.pad=0"
    assert cli.main(["draws", "neocognitron-digits", "--set", change, "--out", str(out)]) == 0
    assert f"neocognitron-digits, {change}" in out.read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--image", "5"], "--image 5: accepted is a whole number from 0 to 4"),
        (["--out", "sheet.gif"], "accepted is a name that ends in .svg or .png"),
        (["--set", "recipe.rate=1"], "unknown"),
    ],
)
def test_what_does_not_exist_is_refused(more, said, capsys):
    assert cli.main(["draws", "neocognitron-digits", *more]) == 2
    assert said in capsys.readouterr().err
