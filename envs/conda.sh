#!/usr/bin/env bash
# Writes the conda environments of `snakemake --use-conda` from the lock files: conda gives Python, pip the pinned packages.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints an environment of a Python version with the pins that it reads.
environment() {
    echo "# Written by envs/conda.sh from $2. No conda channel could be reached to solve it; pip's part is what the lock says."
    echo "channels:"
    echo "  - conda-forge"
    echo "  - nodefaults"
    echo "dependencies:"
    echo "  - python=$1"
    echo "  - pip"
    echo "  - pip:"
    sed 's/.*/      - "&"/'
}

# Prints the lines of requirements.lock that the project needs with these extras.
pins() {
    uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --constraint envs/requirements.lock \
        --no-annotate --no-header "${@/#/--extra=}" pyproject.toml
}

pins workflow | environment 3.11 envs/requirements.lock > envs/analysis.yaml
pins mujoco warp workflow | environment 3.11 envs/requirements.lock > envs/mujoco.yaml
grep -v '^#' envs/isaaclab.lock | environment 3.12 envs/isaaclab.lock > envs/isaaclab.yaml
