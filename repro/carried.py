"""What training begins with where weights are not drawn: those of another run."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from repro.errors import UsageError


@dataclass(frozen=True)
class Carried:
    """The weights that a network begins with: those that were tested of a finished run.

    That is the newest run of the experiment `source` at `scale`, with the same seed and precision;
    of a smoke run, a smoke run. Layers are told by their names. Those that fit one of the patterns
    in `trained` are trained; the others stay as they are, and batch normalisation among them goes
    by the source's averages. A layer that the source does not have, or not in this shape, begins as
    drawn for the seed; it has to be one that is trained.
    """

    source: str
    scale: str
    trained: tuple[str, ...]

    def __post_init__(self):
        if not self.trained or not isinstance(self.trained, tuple):
            raise UsageError(f"begins.trained={self.trained!r}: accepted is a tuple of patterns")

    def scale_for(self, scale: str) -> str:
        """The scale of the source of a run at `scale`."""
        return "smoke" if scale == "smoke" else self.scale

    def trains(self, layer: str) -> bool:
        """Whether the layer of this name is trained."""
        return any(fnmatchcase(layer, pattern) for pattern in self.trained)

    @property
    def words(self) -> str:
        trained = "all layers" if "*" in self.trained else f"{' and '.join(self.trained)} alone"
        return (
            f"the weights of a run of {self.source} at {self.scale} scale with the same seed, to "
            f"train {trained}"
        )

    @property
    def sentence(self) -> str:
        return f"Training begins with {self.words}."
