#!/usr/bin/env bash
# Runs the tests that drive Demo with real tools and peers.
#
#   Tests/Interop/run.sh BIN_PATH [PYTEST_ARGUMENT...]
#
# BIN_PATH is where Demo was built (swift build --show-bin-path). The Python packages go into a virtual environment in the
# build directory, which is made once and again when requirements.txt has changed.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: Tests/Interop/run.sh BIN_PATH [PYTEST_ARGUMENT...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd -P)
shift
# BIN_PATH is SCRATCH/TRIPLE/CONFIGURATION.
scratch=$(dirname "$(dirname "$bin")")
environment=$scratch/interop-venv
python=$environment/bin/python

if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
    echo "interop: installing the packages of requirements.txt into a virtual environment"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$environment/requirements.txt"
fi

export DEMO="$bin/Demo" PATH="$PATH:/usr/sbin:/sbin" PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$python" -m pytest --basetemp "$scratch/interop-tmp" "$@"
