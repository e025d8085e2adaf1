"""Training: one experiment, one seed, from the description to final metrics."""
