#!/usr/bin/env bash
# `envs/isaaclab_cpu.sh [FOLDER]` installs the small Isaac Lab of envs/isaaclab_cpu.in (2 GB, for CPUs), by default in
# the user's cache, and prints the folder as its last line. If it is up to date, nothing happens. PYTHON selects the
# interpreter. The tests use this environment; the image `isaaclab` is the supported Isaac Lab (docs/isaaclab.md).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lock=envs/isaaclab_cpu.lock
wanted=$(cat envs/isaaclab_cpu.in "$lock" envs/isaaclab_cpu.sh | sha256sum)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/manyseeds/isaaclab-cpu-${wanted:0:12}}

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
    install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
    envs/install_torch.sh "$folder/bin/python" "$lock" >&2
    echo "installing Isaac Lab" >&2
    install -c "$lock" -r envs/isaaclab_cpu.in
    # Without its dependencies: an older torch with CUDA, planners and viewers, 5 GB more.
    install --no-deps --ignore-requires-python isaaclab==3.0.0
    echo "$wanted" > "$stamp"
fi
echo "$folder"
