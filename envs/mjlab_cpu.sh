#!/usr/bin/env bash
# `envs/mjlab_cpu.sh [FOLDER]` installs mjlab with the versions of envs/mjlab_cpu.lock (1 GB, for CPUs), by default in the
# user's cache, and prints the folder as its last line. If it is up to date, nothing happens. PYTHON selects the
# interpreter. The tests use this environment.
set -euo pipefail
cd "$(dirname "$0")/.."
. envs/cached.sh

install_packages() { install mjlab; }

cached mjlab-cpu mjlab "${1:-}" envs/mjlab_cpu.lock envs/mjlab_cpu.sh
