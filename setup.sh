#!/bin/sh
# Makes the environment in .venv, finishes one that was interrupted, and leaves a finished one as it
# is. Every make target that needs the environment calls it first:  sh setup.sh [PYTHON]
set -eu
cd "$(dirname "$0")"

asked=${1:-}
here=$(pwd -P)
ready=.venv/.ready # holds the folder that .venv was made in; the programs there name it

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

check() { # that .venv, which has Python $1, is of this folder and of the Python asked for
    made_in=$(cat $ready 2>/dev/null) || true
    [ "${made_in:-$here}" = "$here" ] ||
        stop ".venv was made in $made_in, and its programs are that folder's;" \
            "remove it (rm -r .venv) and run make again"
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

packages=$(grep '^[a-z]' requirements.lock | grep -vc "== 'win32'")
if has=$(version .venv/bin/python); then
    check "$has"
    if [ $ready -nt requirements.lock ] && [ $ready -nt pyproject.toml ]; then exit; fi
    say "bringing .venv up to date with requirements.lock"
else
    [ -n "$asked" ] || set -- python3.12 python3.11 python3.13 python3
    choose "$@"
    [ ! -L .venv/bin/python ] || say "the Python of .venv is gone; starting anew"
    say "making .venv with Python $number ($(command -v "$python"))"
    "$python" -m venv --clear --without-pip .venv
    say "installing $packages packages: 1 GB to fetch, 3.5 GB on disk, three to five minutes"
fi

# What an interrupted pip left by half has no INSTALLER yet; pip would take it for installed.
for package in .venv/lib/*/site-packages/*.dist-info; do
    [ -e "$package/INSTALLER" ] || rm -rf "$package"
done
rm -rf .venv/lib/*/site-packages/~*
set -- .venv/lib/*/site-packages/pip-*/INSTALLER
[ -e "$1" ] || of_venv -m ensurepip --default-pip >/dev/null

# One of them has to be built: by what the lock names, not by the newest release.
install --quiet $(grep -E '^(setuptools|wheel)==' requirements.lock)
if [ -t 1 ]; then
    install --use-pep517 -r requirements.lock
else
    { install --use-pep517 -r requirements.lock && echo "pip is done"; } | tell
fi || stop "pip could not install the packages and says why above; mend that, and run make again"
install --quiet --no-deps --editable .
files=$(find .venv/lib -name '*.py' | wc -l)
say "compiling $((files)) files: about a minute"
of_venv -m compileall -j 0 .venv/lib 2>/dev/null |
    awk '/^Compiling/ && ++n % 4000 == 0 { print "setup:   " n; fflush() }'
echo "$here" >$ready
say "done"
