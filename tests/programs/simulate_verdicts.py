"""Tables of verdicts with known truth: how often an interval holds, and a verdict is wrong.

    python tests/programs/simulate_verdicts.py [--tables 2000] [--runs 3] [--seed 14]

Each table has 25 rows. A row has an error e, from 0.5 to 30 % of 10,000 images, three runs, and the
paper's number: one more run, moved by the row's true difference. That is nothing for three rows of
five, else 1.5 times the tolerance to either side. What is known of the spread is fitted to each
table anew, as `repro results` does.
"""

import argparse
import json
import math

import numpy as np
from scipy import stats

from repro.judging import spread, verdict
from repro.spec import Reported

ROWS, IMAGES, MOVED = 25, 10_000, 1.5


def as_the_model_says(errors, rng):
    """sigma^2 = kappa e / (2N) d0 / chi^2(d0), with kappa = 0.9 and d0 = 8; in square points."""
    expected = 1e4 * 0.9 * (errors / 100) / (2 * IMAGES)
    return expected * 8 / rng.chisquare(8, errors.shape)


def lognormal_and_steeper(errors, rng):
    """Neither the shape nor the slope of the model: lognormal about a power 0.7 of e, not 0.5."""
    expected = 1e4 * 0.03 * (errors / 100 / 0.03) ** 1.4 / (2 * IMAGES)
    return expected * np.exp(0.5 * rng.normal(size=errors.shape))


def of_two_kinds(errors, rng):
    """Every fourth experiment varies three times as much as the others (variance)."""
    expected = 1e4 * 0.8 * (errors / 100) / (2 * IMAGES)
    return expected * np.where(rng.random(errors.shape) < 0.25, 3.0, 1.0)


def without_pattern(errors, rng):
    """The variance has nothing to do with the error: 0.05 to 0.4 points for all of them."""
    return np.exp(rng.uniform(np.log(0.05), np.log(0.4), errors.shape)) ** 2


TRUTHS = (as_the_model_says, lognormal_and_steeper, of_two_kinds, without_pattern)


def simulate(truth, tables: int, runs: int, seed: int) -> dict:
    """Shares over all rows: how often the interval holds, and what the verdicts are.

    `before`: by the rules until November 2026, Student's interval of the runs alone and the width
    looked at first. `wrong`: better or worse where nothing differs, or on the wrong side. `seen`:
    of the rows that differ, those called so.
    """
    rng = np.random.default_rng(seed)
    holds, early = [], []
    counts = {when: dict.fromkeys(("inconclusive", "wrong", "seen"), 0) for when in WHEN}
    moved_rows = 0
    for _ in range(tables):
        errors = np.exp(rng.uniform(np.log(0.5), np.log(30), ROWS))
        sigma = np.sqrt(truth(errors, rng))
        every = errors[:, None] + sigma[:, None] * rng.normal(size=(ROWS, runs + 1))
        every = np.clip(np.round(every, 2), 0.01, None)  # whole images
        values, papers = every[:, :runs], every[:, runs]
        sides = rng.choice((-1, 0, 0, 0, 1), ROWS)
        seen = [
            spread.Observed(f"row{k}", "", runs, v.mean(), IMAGES, v.std(ddof=1))
            for k, v in enumerate(values)
        ]
        prior = spread.fit(seen)
        early.append(prior.degrees)
        for row, paper, side in zip(values, papers, sides, strict=True):
            tolerance = max(0.2, 0.1 * paper)
            # 1.5 times the tolerance that the moved number has: a tenth of it, or 0.2 points
            number = max(0.01, paper - side * MOVED * tolerance)
            judged = verdict.judge(
                list(row), Reported("test_error", number, "simulated"), prior, IMAGES
            )
            holds.append(judged.low <= paper <= judged.high)
            moved_rows += side != 0
            for when, word in (("before", before(row, number)), ("after", judged.verdict)):
                claimed = {"worse": 1, "better": -1}.get(word)
                counts[when]["inconclusive"] += word == "inconclusive"
                counts[when]["wrong"] += claimed is not None and claimed != side
                counts[when]["seen"] += side != 0 and claimed == side
    rows = tables * ROWS
    told = {"truth": truth.__name__, "rows": rows, "coverage": float(np.mean(holds))}
    told["median_degrees"] = float(np.median(early))
    for when in WHEN:
        told[when] = {
            "inconclusive": counts[when]["inconclusive"] / rows,
            "wrong": counts[when]["wrong"] / rows,
            "seen": counts[when]["seen"] / moved_rows,
        }
    return told


WHEN = ("before", "after")


def before(row, number: float) -> str:
    """The verdict by the former rules, on three runs or more."""
    n, mean = len(row), row.mean()
    half = stats.t.ppf(0.975, n - 1) * row.std(ddof=1) * math.sqrt(1 + 1 / n)
    if n < 3 or half > max(0.2, 0.1 * number):
        return "inconclusive"
    if abs(mean - number) <= half:
        return "reproduced"
    return "worse" if mean > number else "better"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=14)
    asked = parser.parse_args()
    for truth in TRUTHS:
        print(json.dumps(simulate(truth, asked.tables, asked.runs, asked.seed)), flush=True)


if __name__ == "__main__":
    main()
