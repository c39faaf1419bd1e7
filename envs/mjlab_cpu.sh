#!/usr/bin/env bash
# `envs/mjlab_cpu.sh [FOLDER]` installs mjlab with the versions of envs/mjlab_cpu.lock (1 GB, for CPUs), by default in the
# user's cache, and prints the folder as its last line. If it is up to date, nothing happens. PYTHON selects the
# interpreter. The tests use this environment.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lock=envs/mjlab_cpu.lock
wanted=$(cat "$lock" envs/mjlab_cpu.sh | sha256sum)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/manyseeds/mjlab-cpu-${wanted:0:12}}

die() { echo "error: $*" >&2; exit 1; }

mkdir -p "$folder"
exec 9< "$folder"
flock 9 # another call may be installing it
stamp=$folder/.installed
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    command -v "$python" >/dev/null || die "$python is not found; install Python 3.11 or newer"
    free_mb=$(df --output=avail -m "$folder" | tail -n 1)
    [ "$free_mb" -ge 4000 ] || die "$free_mb MB are free in $folder; the environment needs 4000 MB"
    "$python" -m venv "$folder"
    envs/install_torch.sh "$folder/bin/python" "$lock" >&2
    echo "installing mjlab" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$lock" mjlab
    echo "$wanted" > "$stamp"
fi
echo "$folder"
