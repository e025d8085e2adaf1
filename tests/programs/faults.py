"""The faults that `corrupt.py` makes, each a function that damages one file or folder."""

import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hand_made import EXPERIMENT, SECRET, lines, newest, remove

from repro.records.documents import seal_of

OTHER = "vgg-d-imagenet"
READERS = {
    "list": ("list", "--json"),
    "verdict": ("verdict", "--json"),
    "claims": ("claims", "--json"),
    "show": ("show", EXPERIMENT, "--json"),
    "table": ("verdict", EXPERIMENT),
    "results": ("results", "--json"),
}
RECORDED = (*READERS, "sync all")  # read what was trained at paper scale
TRAINERS = ("list", "resume", "evaluate", "sync")
DRAWN = ("filters.npy", "figures/curves.svg")
FILES = {  # of each place, with the commands that read them
    "done": (("run.json", "metrics.jsonl", "result.json", "mlflow.json", "newest"), TRAINERS),
    "late": (
        ("run.json", "metrics.jsonl", "newest", "filters.npy", "figures/curves.svg"),
        TRAINERS,
    ),
    "early": (("metrics.jsonl", "newest"), ("resume",)),
    "paper": (("run.json", "metrics.jsonl", "result.json", "filters.npy"), RECORDED),
    "failed": (("run.json", "metrics.jsonl", "failure.json"), RECORDED),
    "record": (("",), tuple(READERS)),
    "lost": (("",), tuple(READERS)),
}
OPTIONAL = ("batch_statistics", "initial_weights")  # older records lack them

Damage = Callable[[Path], None]


@dataclass
class Case:
    """`damage` is done to `path`, which belongs to the run or record `place`."""

    fault: str
    detail: str
    place: Path
    path: Path
    damage: Damage
    commands: Sequence[str]


# ---------------------------------------------------------------------------- any file


def put(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def instead(make: Damage) -> Damage:
    """Something else in the place of a file or folder."""

    def damage(path):
        if path.exists():
            remove(path)
        make(path)

    return damage


def link(to: Callable[[Path], Path]) -> Damage:
    return instead(lambda path: path.symlink_to(to(path)))


def cut(share: float) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(share: float) -> Damage:
    def damage(path):
        content = bytearray(path.read_bytes())
        content[int(share * len(content))] ^= 0x80
        path.write_bytes(content)

    return damage


def twin(path: Path) -> Path:
    return Path("../../../outside").resolve() / path


DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000]
NOT_JSON = b'not json|null|[]|{}|1|"x"|true|[null]|{}{}|\0'.split(b"|")
NUMBERS = [b"NaN", b"-Infinity", b"1e999", b"1" + b"0" * 400, b"1" + b"0" * 5000]
WRONG = (None, "x", [], {}, True, -1, 0.5, 10**400, float("nan"), float("inf"))


def whole(draw: random.Random) -> dict[str, list[Damage]]:
    """The faults that any file may have."""
    return {
        "truncated": [cut(share) for share in (0.01, 0.3, 0.6, 0.95)],
        "bytes flipped": [flip(draw.random()) for _ in range(4)],
        "emptied": [put(b"")],
        "removed": [remove],
        "a folder in its place": [instead(Path.mkdir)],
        "a link to a file outside": [link(twin)],
        "a link to itself": [link(lambda path: Path(path.name))],
        "a dangling link": [link(lambda path: twin(path).with_name("new"))],
        "a link to a folder outside": [link(lambda path: twin(path).parent)],
        "not UTF-8": [lambda p: p.write_bytes(b"\xff\xfe" + p.read_bytes()), put(b'{"a": "\xe9"}')],
        "not JSON": [put(content) for content in NOT_JSON],
        "deep nesting": [put(content) for content in DEEP],
        "NaN, huge numbers": [put(content) for content in NUMBERS],
    }


def keys_of(value, depth: int) -> Iterator[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:1] + value[1:][-1:])
    for key, inner in items:
        yield (key,)
        if isinstance(inner, dict | list) and depth > 1:
            yield from ((key, *rest) for rest in keys_of(inner, depth - 1))


def edit(keys: tuple, value, drop: bool = False) -> Damage:
    """Another value in a JSON file, or in a line of a file of such lines."""

    def damage(path):
        each = path.suffix == ".jsonl"
        text = path.read_text()
        document = [json.loads(x) for x in text.splitlines()] if each else json.loads(text)
        inner = document
        for key in keys[:-1]:
            inner = inner[key]
        if drop:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        parts = document if each else [document]
        path.write_text("".join(json.dumps(part) + "\n" for part in parts))

    return damage


def by_key(path: Path) -> Iterator[tuple[str, str, Damage]]:
    """Every key of a JSON file: missing, of each wrong type, and one more than there should be."""
    text = path.read_text()
    each = path.suffix == ".jsonl"
    document = [json.loads(x) for x in text.splitlines()] if each else json.loads(text)
    for keys in keys_of(document, 4 if path.parent.parent.name == "runs" else 3):
        present = document
        for key in keys:
            present = present[key]
        said = ".".join(map(str, keys))
        if isinstance(keys[-1], str) and keys[-1] not in OPTIONAL:
            yield "a key is missing", said, edit(keys, None, drop=True)
        for value in WRONG:
            same = type(value) is type(present) and value != -1
            number = {type(value), type(present)} <= {int, float} and value == value
            if not same and not (number and 0 <= value < 9):
                yield "a value of another type", f"{said} = {str(value)[:9]}", edit(keys, value)
        if isinstance(present, dict):
            yield "a key too many", said, edit((*keys, "another"), 1)


# ---------------------------------------------------------------------------- one kind of file


def forged(change: Callable[[dict], None]) -> Damage:
    """A checkpoint with other content whose digest is right; of another format it is left alone."""

    def damage(path):
        digest, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            raise NotImplementedError("the format of checkpoints is another")
        arrays = dict(np.load(io.BytesIO(content)))
        change(arrays)
        file = io.BytesIO()
        np.savez(file, **arrays)
        digest = hashlib.sha256(file.getvalue()).hexdigest().encode()
        path.write_bytes(digest + b"\n" + file.getvalue())

    return damage


def progress(key: str, value) -> Damage:
    def change(arrays):
        told = {**json.loads(str(arrays["progress"])), key: value}
        arrays["progress"] = np.array(json.dumps(told))

    return forged(change)


def checkpoints(places: dict[str, Path], mine: str) -> Iterator[tuple[str, Damage]]:
    """What may lie in the place of the newest checkpoint, or beside it."""
    first = "00000"
    for name in [name for name in ("done", "late", "early") if name != mine]:
        other = newest(places[name]).read_bytes()
        yield "a checkpoint of another run", put(other)
        yield (
            "a newer checkpoint of another run",
            lambda path, other=other: path.with_name("update-000000041.ckpt").write_bytes(other),
        )
    for name in ("abc", "", "-1", "99999999999999", "1e9"):
        for make in (put(b"x"), Path.mkdir, lambda p: shutil.copy(newest(p.parent.parent), p)):
            yield (
                "a checkpoint of another name",
                lambda path, make=make, name=name: make(path.with_name(f"update-{name}.ckpt")),
            )
    yield "a checkpoint of another name", lambda path: path.with_name(".update-x").mkdir()
    for change in (
        lambda a: a.pop(first),
        lambda a: a.pop("progress"),
        lambda a: a.update({first: a[first].reshape(-1)}),
        lambda a: a.update({first: a[first].astype(str)}),
        lambda a: a.update({first: a[first] * np.nan}),
        lambda a: a.update({first: np.zeros(0)}),
        lambda a: a.update({"progress": np.array("[" * 100_000)}),
        lambda a: a.update({"progress": np.array("[]")}),
        lambda a: a.update({"progress": np.array(b"\xff")}),
    ):
        yield "a checkpoint of another network", forged(change)
    for key in ("update", "passes", "state", "seconds", "resumed"):
        for value in (None, "x", [], {}, -1, 0.5, 10**12, 10**400, float("nan")):
            yield "a checkpoint of another progress", progress(key, value)


def torn(number: int) -> dict[str, Callable[[list], None]]:
    """A line of metrics.jsonl that is not as it was written."""
    return {
        "the file ends in a line": lambda x: x.__setitem__(slice(number, None), [x[number][:30]]),
        "a line is cut": lambda x: x.__setitem__(number, x[number][:30] + "\n"),
        "a line is missing": lambda x: x.pop(number),
        "a line stands twice": lambda x: x.insert(number, x[number]),
        "a line is empty": lambda x: x.insert(number, "\n"),
        "a line says something else": lambda x: x.insert(number, '{"acc": 1}\n'),
        "a line is no object": lambda x: x.insert(number, "[]\n"),
        "lines in another order": lambda x: x.append(x.pop(number)),
    }


def in_lines(change: Callable[[list], None]) -> Damage:
    def damage(path):
        each = path.read_text().splitlines(keepends=True)
        change(each)
        path.write_text("".join(each))

    return damage


TAMPERED = {
    "seed": (12, 21, 31, 98, 10**30),
    "scale": ("short", "smoke", "paper", "x"),
    "experiment": (OTHER, "x", "../../x", "a/b", "/etc", "", "\0", "\ud800"),
    "paper": ("resnet", "x", "../../x", "a/b", "/tmp/x", "", "..", "\0"),
    "id": ("x", "", "' OR ''='", "\ud800", "x" * 9999),
    "overrides": (["x"], ["recipe.batch=2"], [1], ["recipe.x=1"]),
    **{"precision": ("mixed_bfloat16", "x"), "strategy": ("mirrored", "x")},
    "digest": ("0" * 12, "\ud800"),
    "started": ("x", "0000-01-01", "9999-12-31T23:59:59+00:00", "\ud800"),
    **{key: ("\ud800",) for key in ("commit", "command", "backend")},
}
IMAGES = {  # of 360 test images, of which some are wrong
    "order": ("", "x", "a" * 63),
    "count": (0, 359, 361, 10**9, 2**53),
    "classes": (0, 1, 257, 1000, 10**9),
    "wrong": ("", "=", "x", "*" * 60, "\0", "/" * 60, "A" * 60, "A" * 10**7),
    "guesses": ("", "=", "x", "\ud83d", "////", "A" * 48, "A" * 10**7),
}
FOREIGN = ["{}", "[]", "null", '{"acc":1}', '{"id":1}', "[" * 100_000, "x"]
FOREIGN_RECORDS = [
    *FOREIGN,
    '{"run":{},"passes":[],"result":{"metrics":{}}}',
    '{"run":{"id":1},"passes":1,"result":{"metrics":{"a":1}}}',
    '{"run":{"id":"a","experiment":[]},"passes":[],"result":{"metrics":{"a":1}}}',
    '{"run":{"id":"a"},"passes":[],"result":null,"failure":{"reason":"x"}}',
]
URIS = [
    f"postgresql://u:{SECRET}[@h/db",
    f"http://u:{SECRET}/x@127.0.0.1:1/",
    f"http://u:{SECRET}#x@127.0.0.1:1/",
    f"http://127.0.0.1:1/?password={SECRET}",
    f"mysql://u:{SECRET}?@127.0.0.1:1/db",
    "http://[",
    "http://127.0.0.1:x/",
    "nonsense://a",
    "sqlite:///",
    "sqlite:////proc/x/mlflow.db",
    "\x01",
]


def database(content: bytes | None) -> Damage:
    """Another file as MLflow's database; one of another name, since MLflow keeps some open."""

    def damage(path):
        path = path.with_name(f"other-{random.random()}.db")
        path.write_bytes(content) if content is not None else path.mkdir()
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{path.absolute()}"

    return damage


def tracked_at(uri: str) -> Damage:
    return lambda _: os.environ.__setitem__("MLFLOW_TRACKING_URI", uri)


def sealed_anew(**changes) -> Damage:
    """Other test images in a record, whose seal is right again."""

    def damage(path):
        record = {key: x for key, x in json.loads(path.read_text()).items() if key != "seal"}
        record["result"]["images"]["single-view"] |= changes
        path.write_text(json.dumps({**record, "seal": seal_of(record)}))

    return damage


def files(texts: dict[str, str]) -> Damage:
    def damage(path):
        path.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (path / name).write_text(text)

    return damage


# ---------------------------------------------------------------------------- all of them


def cases(places: dict[str, Path], draw: random.Random) -> Iterator[Case]:
    for name, (names, commands) in FILES.items():
        place = places[name]
        for file in names:
            path = newest(place) if file == "newest" else place / file
            for fault, damages in whole(draw).items():
                for damage in damages:
                    yield Case(fault, file, place, path, damage, commands)
            if path.suffix in (".json", ".jsonl"):
                for fault, said, damage in by_key(path):
                    few = (draw.choice(commands),)
                    some = few if commands == TRAINERS else (*tuple(READERS)[:-1], *few)
                    yield Case(fault, f"{file} {said}", place, path, damage, some)
            if path.name == "metrics.jsonl":
                for number in range(len(lines(place))):
                    for fault, change in torn(number).items():
                        damage = in_lines(change)
                        yield Case(f"metrics: {fault}", f"{number}", place, path, damage, commands)
            if file in ("run.json", ""):
                for key, values in TAMPERED.items():
                    for value in values:
                        damage = edit((key,) if file else ("run", key), value)
                        said = f"{key} = {str(value)[:20]!r}"
                        long = key == "scale" and value == "paper"  # would be trained for minutes
                        some = [one for one in commands if not (long and one == "resume")]
                        yield Case("another run's facts", said, place, path, damage, some)
    for name in ("done", "late"):
        path = newest(places[name])
        for fault, damage in checkpoints(places, name):
            yield Case(fault, name, places[name], path, damage, ("resume", "evaluate"))
    late, world = places["late"], Path(".")
    nowhere = link(lambda path: twin(path).with_name("new"))
    for name in ("figures", "checkpoints", ".lock", "figures/filters.svg"):
        for damage in (remove, instead(put(b"x")), instead(Path.mkdir), link(twin), nowhere):
            yield Case("a folder is something else", name, late, late / name, damage, TRAINERS)
    for values in (np.array([{}]), np.zeros(3), np.array(["x"]), np.full((5, 5, 1, 6), np.nan)):
        path = places["paper"] / "filters.npy"
        damage = lambda path, values=values: np.save(path, values)  # noqa: E731
        yield Case("another array", str(values.dtype), places["paper"], path, damage, ("results",))
    for text in FOREIGN:
        path = Path("runs/detector/foreign")
        for name in ("result.json", "failure.json", "run.json"):
            commands = ("sync all",) if name == "run.json" else RECORDED  # it has not ended
            for texts in ({name: text}, {"run.json": text, name: text}):
                detail = f"{name} {text[:9]}"
                yield Case("a foreign folder", detail, path, path, files(texts), commands)
    for key, values in IMAGES.items():
        for value in values:
            path, damage = places["record"], sealed_anew(**{key: value})
            said = f"{key} = {str(value)[:20]!r}"
            yield Case("test images, sealed anew", said, path, path, damage, tuple(READERS))
    for text in FOREIGN_RECORDS:
        path = Path("results/runs/detector")
        damage = files({"foreign.json": text})
        yield Case(
            "a foreign record", text[:40], path / "foreign.json", path, damage, tuple(READERS)
        )
        yield Case(
            "bench.json",
            text[:9],
            world,
            Path("results"),
            files({"bench.json": text}),
            ("results",),
        )
    for name in ("README.md", "results.csv", "lenet5.md", "figures", "bench.json"):
        for damage in (instead(Path.mkdir), link(twin), nowhere, put(b"x")):
            yield Case(
                "results: another kind", name, world, Path("results", name), damage, ("results",)
            )
    for content in (b"x" * 4096, b"", None, b"SQLite format 3\0" + b"\0" * 4000):
        damage = database(content)
        yield Case("a broken database", "", late, Path("mlflow.db"), damage, ("resume", "sync all"))
    for uri in URIS:
        yield Case("a tracking URI", uri, late, world, tracked_at(uri), ("resume", "sync"))
    for path in (
        "nowhere",
        "",
        "/",
        "\0",
        "x" * 5000,
        "a\nb",
        "\udcff",
        "mlflow.db",
        "..",
        "/dev/null",
    ):
        yield Case("an argument", repr(path[:9]), Path(path), world, lambda _: None, TRAINERS[1:])
