"""Records: the run directory, what is read from it, and MLflow."""

RUNS = "runs"  # where runs are written, in the working folder
RESULTS = "results"  # records that are kept, and the pages made from them
