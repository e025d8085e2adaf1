"""Marks and cuts a JPEG whose bytes and marks are altered at random; prints that nothing failed.

    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=FOLDER python tests/programs/altered_jpegs.py FOLDER

FOLDER/whole.jpg is the JPEG, 400 pixels high and 64 wide.
"""

import sys
from pathlib import Path

import numba
import numpy as np

from repro.data import jpegs

TURNS = 2000
EXTREMES = np.array([-(2**15), -1, 0, 1, 2**15 - 1], np.int16)


@numba.njit
def beyond(array):
    return array[len(array)]


def main(folder: str) -> None:
    jpegs.LEAST = -(10**9)  # parts are cut out also where that takes longer
    whole = Path(folder, "whole.jpg").read_bytes()
    marks, random = jpegs.marks(whole), np.random.default_rng(5)
    for turn in range(TURNS):
        file, wrong = bytearray(whole), marks.copy()
        for place in random.integers(0, len(file), turn % 5):
            file[place] = random.choice([0, 255, random.integers(256)])
        if turn % 4 == 0:  # no code is all ones
            first, length = random.integers(700, len(file)), random.integers(len(file))
            file[first : first + length] = b"\xff\0" * (length // 2)
        del file[random.integers(len(file) // 2, len(file)) if turn % 3 == 0 else len(file) :]
        rows = random.integers(0, len(wrong), (turn // 5) % 5)
        wrong[rows] = random.choice(EXTREMES, (len(rows), 4))
        if turn % 7 == 0:
            wrong[0, 0] = random.integers(0, min(2**15, 8 * len(file)))
        top, bottom = np.sort(random.choice(401, 2, replace=False)).tolist()
        left, right = np.sort(random.choice(65, 2, replace=False)).tolist()
        jpegs.part(bytes(file), wrong, (400, 64), slice(top, bottom), slice(left, right))
        jpegs.marks(bytes(file))
    try:
        beyond(np.zeros(3))
    except IndexError:
        print(f"{TURNS} turns, IndexError where one is due")


if __name__ == "__main__":
    main(sys.argv[1])
