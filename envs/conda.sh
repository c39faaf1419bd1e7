#!/usr/bin/env bash
# Writes the conda environments for `snakemake --use-conda` from the lock files.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints an environment: $1 is the Python version, $2 the lock file; the pins come from standard input.
environment() {
    echo "# Written by envs/conda.sh from $2. Conda installs Python; pip installs the locked versions."
    echo "channels:"
    echo "  - conda-forge"
    echo "  - nodefaults"
    echo "dependencies:"
    echo "  - python=$1"
    echo "  - pip"
    echo "  - pip:"
    sed 's/.*/      - "&"/'
}

# Prints the lines of requirements.lock for the project with the given extras.
pins() {
    uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --constraint envs/requirements.lock \
        --no-annotate --no-header "${@/#/--extra=}" pyproject.toml
}

pins workflow | environment 3.11 envs/requirements.lock > envs/analysis.yaml
pins mujoco video warp workflow | environment 3.11 envs/requirements.lock > envs/mujoco.yaml
grep -v '^#' envs/isaaclab.lock | environment 3.12 envs/isaaclab.lock > envs/isaaclab.yaml
