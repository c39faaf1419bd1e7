#!/usr/bin/env bash
# `envs/isaaclab_cpu.sh [FOLDER]` installs the small Isaac Lab of envs/isaaclab_cpu.in (2 GB, for CPUs), by default in
# the user's cache, and prints the folder as its last line. If it is up to date, nothing happens. PYTHON selects the
# interpreter. The tests use this environment; the image `isaaclab` is the supported Isaac Lab (docs/isaaclab.md).
set -euo pipefail
cd "$(dirname "$0")/.."
. envs/cached.sh

install_packages() {
    install -r envs/isaaclab_cpu.in
    # Without its dependencies: an older torch with CUDA, planners and viewers, 5 GB more.
    install --no-deps --ignore-requires-python isaaclab==3.0.0
}

cached isaaclab-cpu "Isaac Lab" "${1:-}" envs/isaaclab_cpu.lock envs/isaaclab_cpu.in envs/isaaclab_cpu.sh
