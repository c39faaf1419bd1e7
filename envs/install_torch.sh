#!/usr/bin/env bash
# `envs/install_torch.sh PYTHON LOCK` installs the torch version of a lock. PyPI's torch includes 2 GB of CUDA
# libraries; on a machine without a GPU the smaller CPU build is installed, if PyTorch's index is reachable.
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
