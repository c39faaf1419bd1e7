#!/usr/bin/env bash
# `envs/install_torch.sh PYTHON LOCK` installs the torch of a lock. PyPI's torch brings 2 GB of CUDA libraries; where no GPU
# could use them, this takes the build without, if it can be had.
set -euo pipefail
python=$1 lock=$2

cpu=https://download.pytorch.org/whl/cpu
torch=$(grep '^torch==' "$lock")
install() { "$python" -m pip install --quiet --disable-pip-version-check -c "$lock" "$@"; }

if ! command -v nvidia-smi >/dev/null && "$python" - "$cpu/torch/" 2>/dev/null <<'PROBE'
import sys
import urllib.request

urllib.request.urlopen(sys.argv[1], timeout=5)
PROBE
then
    echo "installing $torch for the CPU"
    install --extra-index-url "$cpu" "$torch"
else
    echo "installing $torch"
    install "$torch"
fi
