"""The commands of `repro`, a module for each kind: what they take, what they print."""
