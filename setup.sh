#!/bin/sh
# Makes the environment in .venv, finishes one that was interrupted, and leaves a finished one as it
# is. Every make target that needs the environment calls it first:  sh setup.sh [PYTHON]
set -eu
cd "$(dirname "$0")"

asked=${1:-}
here=$(pwd -P)
ready=.venv/.ready            # holds the folder that .venv was made in; the programs there name it
unfinished=.venv/.unfinished  # as long as it is there, half a package may be there too

say() { printf '%s\n' "setup: $*"; }

stop() {
    printf '%s\n' "error: $*" >&2
    exit 2
}

version() { # of Python $1, like 3.12; fails where it does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

accepted() { case $1 in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac }

choose() { # sets python and number: the first of "$@" that can make the environment
    lacking='' others=''
    for python; do
        number=$(version "$python") || continue
        if ! accepted "$number"; then
            others="$others ($python is Python $number)"
        elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            return
        else
            lacking=${lacking:-$number}
        fi
    done
    [ -z "$lacking" ] ||
        stop "Python $lacking lacks what makes environments; on Debian and Ubuntu:" \
            "apt install python$lacking-venv; or name another Python: make PYTHON=..."
    [ -z "$asked" ] || [ -n "$others" ] || stop "PYTHON=$asked does not run as a Python"
    stop "Python 3.11, 3.12 or 3.13 is needed$others; install one, or say where one is:" \
        "make PYTHON=/path/to/python3.12"
}

check() { # that .venv, which has Python $1, is of the one that is asked for
    if ! accepted "$1"; then
        stop ".venv has Python $1, and 3.11, 3.12 or 3.13 is needed;" \
            "remove it (rm -r .venv) and run make again"
    fi
    [ -n "$asked" ] || return 0
    wanted=$(version "$asked") || stop "PYTHON=$asked does not run as a Python"
    [ "$wanted" = "$1" ] ||
        stop ".venv has Python $1, and PYTHON=$asked is $wanted;" \
            "remove .venv (rm -r .venv) and run make again, or leave PYTHON out"
}

# What the user's own Python and pip are set to must not lead the installation elsewhere.
export PIP_USER=0
unset PIP_TARGET PIP_PREFIX
of_venv() { .venv/bin/python -Iu "$@"; }
install() {
    of_venv -m pip install --disable-pip-version-check --no-compile --no-build-isolation "$@"
}

tell() { # of all that pip says, how far it is
    count=0
    while IFS= read -r line; do
        case $line in
            *.metadata\ \(*) ;;
            Processing\ * | *Downloading\ *\ \(* | *Using\ cached\ *\ \(*)
                count=$((count + 1))
                [ $((count % 20)) -ne 0 ] || say "  $count of $packages"
                case $line in *Downloading*[0-9][0-9].[0-9]\ MB\))
                    name=${line#*Downloading } size=${line##*\(}
                    say "  fetching ${name%%-*}, ${size%\)}" ;;
                esac ;;
            Installing\ collected\ packages:*) say "unpacking them: about a minute" ;;
            pip\ is\ done) return ;;
        esac
    done
    return 1
}

made_in=$(cat $ready 2>/dev/null) || true
if [ ! -e $unfinished ] && [ "${made_in:-$here}" = "$here" ] && has=$(version .venv/bin/python); then
    check "$has"
    if [ $ready -nt requirements.lock ] && [ $ready -nt pyproject.toml ]; then exit; fi
else
    if [ -n "$asked" ]; then choose "$asked"; else choose python3.12 python3.11 python3.13 python3; fi
    [ ! -e .venv ] || say "starting .venv anew: it is unfinished, or was moved, or its Python is gone"
    say "making .venv with Python $number ($(command -v "$python"))"
    "$python" -m venv --clear --without-pip .venv
fi
touch $unfinished
of_venv -m pip --version >/dev/null 2>&1 || of_venv -m ensurepip --default-pip >/dev/null

packages=$(grep '^[a-z]' requirements.lock | grep -vc "== 'win32'")
say "installing $packages packages: 1 GB to fetch, 3.5 GB on disk, three to five minutes"
# One of them has to be built: by what the lock names, not by the newest that there is.
install --quiet $(grep -E '^(setuptools|wheel)==' requirements.lock)
if [ -t 1 ]; then
    install --use-pep517 -r requirements.lock
else
    { install --use-pep517 -r requirements.lock && echo "pip is done"; } | tell
fi || stop "pip could not install the packages and says why above; make starts again from what" \
    "is already fetched"
install --quiet --no-deps --editable .
files=$(find .venv/lib -name '*.py' | wc -l)
say "compiling $((files)) files: about a minute"
of_venv -m compileall -j 0 .venv/lib 2>/dev/null |
    awk '/^Compiling/ && ++n % 4000 == 0 { print "setup:   " n; fflush() }'
rm $unfinished
echo "$here" >$ready
say "done"
