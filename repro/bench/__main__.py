import sys

from repro.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
