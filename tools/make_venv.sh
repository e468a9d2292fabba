#!/bin/sh
# make_venv.sh DIR: creates the virtual environment, or says the one line that is missing.
set -eu
PYTHON=${PYTHON:-python3}

command -v "$PYTHON" >/dev/null || {
    echo "Sabir needs Python 3.11 or later. Type: sudo apt-get install python3 python3-venv" >&2
    exit 1
}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Sabir needs Python 3.11 or later, and $PYTHON is older. Type: make venv PYTHON=/path/to/python3.11" >&2
    exit 1
}
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing python3-venv"
        apt-get install -qq -y python3-venv >/dev/null 2>&1 || {
            apt-get update -qq
            apt-get install -qq -y python3-venv >/dev/null
        }
    else
        echo "Python's venv module is missing. Type: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$PYTHON" -m venv "$1"
