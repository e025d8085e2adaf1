"""`repro draws`: what training gets of an image."""

import re
from pathlib import Path

import numpy as np
import pytest

from repro import cli
from repro.data.augmentation import CropAndFlip
from repro.data.batches import Batches
from repro.data.distortion import DistortedCopies
from repro.report import draws_sheet


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
    for text in (
        "Training image 3, class 3, of Digits 0 to 4",
        "CropAndFlip(pad=3",
        "16x16 pixels",
    ):
        assert text in file.read_text()


def test_all_pictures_have_one_scale(tmp_path, monkeypatch):
    """Of colours the lowest is black, of grey levels white as paper."""
    seen = []
    monkeypatch.setattr(draws_sheet.Sheet, "picture", lambda self, x, *place: seen.append(x))
    kept, drawn = np.full((6, 4, 3), 51, np.uint8), np.zeros((5, 2, 2, 3), np.float32)
    drawn[1:] = np.array([-1, 0, 1, 3])[:, None, None, None]
    for channels in (3, 1):
        args = kept[..., :channels], 255.0, drawn[1:, ..., :channels], "title", "heading", "about"
        draws_sheet.draw(*args, tmp_path / "sheet.svg")
    levels = [picture.mean() for picture in seen]
    assert all(picture.shape[-1] == 3 and np.ptp(picture) == 0 for picture in seen)
    assert levels[:5] == pytest.approx([0.2, 0, 0.25, 0.5, 1])
    assert levels[5:] == pytest.approx([0.8, 1, 0.75, 0.5, 0])
    assert "-1 is white, 3 is black" in (tmp_path / "sheet.svg").read_text()


def test_copies_are_the_same_in_every_pass_and_drawn_once(tmp_path):
    out = tmp_path / "sheet.svg"
    changes = ["recipe.data.dataset=digits", "recipe.augmentation.copies=3"]
    options = [word for change in changes for word in ("--set", change)]
    assert cli.main(["draws", "lenet5-mnist-distorted", *options, "--out", str(out)]) == 0
    assert pictures(out) == 1 + 4


def test_what_is_not_augmented_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path))
    out = tmp_path / "sheet.svg"
    assert cli.main(["draws", "lenet5-digits", "--out", str(out)]) == 0
    assert pictures(out) == 2 and "Done to it: Enlarge(" in out.read_text()


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
