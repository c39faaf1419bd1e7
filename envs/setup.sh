#!/usr/bin/env bash
# Creates .venv with the versions of envs/requirements.lock: `envs/setup.sh analysis` (tables and figures, no torch) or
# `envs/setup.sh full`. If it is up to date, nothing happens. PYTHON selects the interpreter, VENV the folder.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-full}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

die() { echo "error: $*" >&2; exit 1; }

case $what in
    analysis) extras=workflow needed_mb=1500 ;;
    full) extras=mujoco,warp,workflow,play,cluster,test,dev needed_mb=4500 ;;
    *) die "envs/setup.sh: unknown environment '$what'; it must be analysis or full" ;;
esac

# The stamp is a hash of the inputs, so that a changed lock or pyproject.toml installs again.
stamp=$venv/.installed-$what
wanted=$(cat pyproject.toml envs/requirements.lock envs/setup.sh envs/install_torch.sh | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

command -v "$python" >/dev/null || die "$python is not found; install Python 3.11 or newer: apt install python3 python3-venv"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || die "$python does not start"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "$python is Python $version; 3.11 or newer is needed: make PYTHON=python3.11 ..."
"$python" -c 'import ensurepip, venv' 2>/dev/null \
    || die "Python's venv module is missing; install it: apt install python$version-venv"
free_mb=$(df --output=avail -m . | tail -n 1)
[ -d "$venv" ] || [ "$free_mb" -ge "$needed_mb" ] || die "$free_mb MB are free here; the environment needs $needed_mb MB"

# An interrupted installation can break the next one, so an unfinished environment is removed.
begun=$venv/.begun
if [ -e "$begun" ] || [ ! -x "$venv/bin/python" ]; then
    [ -e "$begun" ] && clear=--clear || clear=
    "$python" -m venv $clear "$venv"
    touch "$begun"
fi
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c envs/requirements.lock "$@"; }

if [ "$what" = full ]; then
    envs/install_torch.sh "$venv/bin/python" envs/requirements.lock
fi
echo "installing manyseeds[$extras]"
install --editable ".[$extras]"
echo "$wanted" > "$stamp"
rm -f "$begun"
