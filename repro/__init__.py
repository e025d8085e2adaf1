"""A reproduction harness for the landmark CNN papers."""

__version__ = "0.1.0"
