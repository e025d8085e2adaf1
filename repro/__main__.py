import os
import sys

# `python -m` looks in the working folder first. No file there may stand for a module of Python or
# of a library; `os` and `sys` are there since Python started.
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
first = os.path.abspath(sys.path[0])
if not getattr(sys.flags, "safe_path", False) and sys.path[0] not in sys.path[1:]:
    del sys.path[0]
    if first == root:
        sys.path.append(root)

from repro.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.argv[0] = "repro"  # as it stands in the record of the run
    sys.exit(main())
