"""Data: what there is, whether it is the official data, and what a run sees of it."""
