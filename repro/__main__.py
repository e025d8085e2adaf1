import sys

from repro.cli import main

if __name__ == "__main__":
    sys.argv[0] = "repro"  # as it stands in the record of the run
    sys.exit(main())
