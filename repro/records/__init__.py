"""Records: the run directory, what is read from it, and MLflow."""
