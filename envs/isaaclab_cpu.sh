#!/usr/bin/env bash
# `envs/isaaclab_cpu.sh [FOLDER]` makes the small Isaac Lab of envs/isaaclab_cpu.in (2 GB, for a CPU), by default in the
# user's cache, and prints the folder as its last line. A second call with nothing to do costs nothing. PYTHON chooses the
# interpreter. This is what the tests use; Isaac Lab as its makers support it is the image `isaaclab` (docs/isaaclab.md).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lock=envs/isaaclab_cpu.lock
wanted=$(cat envs/isaaclab_cpu.in "$lock" envs/isaaclab_cpu.sh | sha256sum)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/manyseeds/isaaclab-cpu-${wanted:0:12}}

die() { echo "error: $*" >&2; exit 1; }

mkdir -p "$folder"
exec 9< "$folder"
flock 9 # another call may be making it
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
    # Its own list of packages has an older torch with CUDA, planners, viewers and 5 GB more.
    install --no-deps --ignore-requires-python isaaclab==3.0.0
    echo "$wanted" > "$stamp"
fi
echo "$folder"
