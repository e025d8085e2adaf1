"""How much a network computes: what decides how it is compiled, and what a smoke run can afford."""

from typing import Any

from repro.errors import RunError
from repro.networks.anatomy import anatomy


def multiply_adds(model: Any) -> int:
    """Multiply-adds of one example, forwards; of a network that is no graph, one per weight."""
    try:
        return anatomy(model)["multiply_adds"]
    except RunError:
        return model.count_params()
