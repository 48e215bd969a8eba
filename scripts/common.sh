# Sourced by the other scripts: a virtual environment of our own in .venv, with what is asked for installed once.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

environment() { # environment EXTRA: makes .venv and installs eyas[EXTRA] there, editable, unless that is done already
    stamp=.venv/.installed-$1
    if [ -e "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt constraints.txt ]; then
        return
    fi
    if [ ! -x .venv/bin/python ]; then
        "$PYTHON" -m venv .venv || {
            echo "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
            exit 69
        }
    fi
    echo "installing eyas[$1] into .venv (once; a few minutes) ..." >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$1]"
    touch "$stamp"
}
