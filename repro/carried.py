"""What training begins with where weights are not drawn: those of another run."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repro.errors import UsageError

SAME = "same"


@dataclass(frozen=True)
class Carried:
    """The weights that a network begins with: those that were tested of a finished run.

    That is a run of the experiment `source` at `scale`, with the same seed and precision. A scale
    of "same" is that of the run that begins; a smoke run always begins with a smoke run.

    Layers are told by their names. Those that fit one of the patterns in `layers` begin as the
    source ended; it must have them in the same shape. Without patterns these are all that it has in
    the same shape. The other layers begin as drawn for the seed.

    Layers that fit one of the patterns in `trained` are trained. The others stay as they are, and
    batch normalisation among them goes by the source's averages; none of them may be drawn.
    """

    source: str
    scale: str
    trained: tuple[str, ...]
    layers: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("trained", "layers"):
            patterns = getattr(self, name)
            if not isinstance(patterns, tuple) or (name == "trained" and not patterns):
                raise UsageError(f"begins.{name}={patterns!r}: accepted is a tuple of patterns")

    def scale_for(self, scale: str) -> str:
        """The scale of the source of a run at `scale`."""
        return source_scale(self.scale, scale)

    def trains(self, layer: str) -> bool:
        """Whether the layer of this name is trained."""
        return _fits(layer, self.trained)

    def needs(self, layer: str) -> bool:
        """Whether the source must have the layer of this name."""
        return _fits(layer, self.layers) or not self.trains(layer)

    def takes(self, layer: str) -> bool:
        """Whether the layer of this name begins as the source ended, if the source has it."""
        return not self.layers or _fits(layer, self.layers)

    @property
    def words(self) -> str:
        some = self.layers and "*" not in self.layers
        what = f"the weights of {_listed(self.layers)}" if some else "the weights"
        like = f"at {self.scale} scale with the same seed"
        like = "of the same scale and seed" if self.scale == SAME else like
        trained = "all layers" if "*" in self.trained else f"{' and '.join(self.trained)} alone"
        return f"{what} of a run of {self.source} {like}, to train {trained}"

    @property
    def sentence(self) -> str:
        return f"Training begins with {self.words}."


def source_scale(asked: str, scale: str) -> str:
    """The scale of the source of a run at `scale`, where `Carried.scale` is `asked`."""
    return scale if asked == SAME or scale == "smoke" else asked


def _fits(layer: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(layer, pattern) for pattern in patterns)


def _listed(words: Sequence[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last
