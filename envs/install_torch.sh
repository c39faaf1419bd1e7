#!/usr/bin/env bash
# `envs/install_torch.sh PYTHON LOCK [PIP OPTION...]` installs the torch version of a lock. PyPI's torch includes 2 GB of
# CUDA libraries; where envs/gpu.sh finds no GPU, the smaller CPU build is installed, if PyTorch's index is reachable.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 lock=$2

cpu=https://download.pytorch.org/whl/cpu
torch=$(grep '^torch==' "$lock")
install() { "$python" -m pip install --quiet --disable-pip-version-check -c "$lock" "$@"; }

if envs/gpu.sh; then
    # A CPU build has the version that is asked for, so pip would keep it.
    "$python" -c 'import importlib.metadata; exit(not importlib.metadata.version("torch").endswith("+cpu"))' 2>/dev/null \
        && "$python" -m pip uninstall --quiet --yes torch
    echo "installing $torch for a GPU"
    install "${@:3}" "$torch"
elif "$python" - "$cpu/torch/" 2>/dev/null <<'PROBE'
import sys
import urllib.request

urllib.request.urlopen(sys.argv[1], timeout=5)
PROBE
then
    echo "installing $torch for the CPU"
    install "${@:3}" --extra-index-url "$cpu" "$torch"
else
    echo "installing $torch"
    install "${@:3}" "$torch"
fi
