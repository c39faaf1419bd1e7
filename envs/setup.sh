#!/usr/bin/env bash
# `envs/setup.sh ENVIRONMENT [EXTRA...]` creates .venv with the versions of envs/requirements.lock, or adds what it lacks:
#
#   analysis   tables and figures, no torch
#   run        the whole workflow, with MuJoCo Warp where there is an NVIDIA GPU
#   full       also what the tests, the checks, the player, the trackers and clusters need
#
# An EXTRA is one of pyproject.toml: `envs/setup.sh run warp play`. If nothing is missing, nothing happens. PYTHON selects
# the interpreter, VENV the folder. GPU=yes installs for a GPU that this machine does not have, such as a login node.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-full}
python=${PYTHON:-python3}
venv=${VENV:-.venv}
lock=envs/requirements.lock

die() { echo "error: $*" >&2; exit 1; }

case $what in
    analysis) extras=(workflow) needed_mb=1200 ;;
    run) extras=(mujoco workflow) needed_mb=2000 ;;
    full) extras=(mujoco video warp workflow play loggers cluster test dev) needed_mb=4000 ;;
    *) die "envs/setup.sh: unknown environment '$what'; it must be analysis, run or full" ;;
esac
for extra in "${@:2}"; do
    grep -qE "^$extra = \[" pyproject.toml || die "envs/setup.sh: unknown extra '$extra'; pyproject.toml has all of them"
    extras+=("$extra")
done
gpu=0
envs/gpu.sh || gpu=$?
[ $gpu -le 1 ] || exit 1
if [ "$what" = run ] && [ $gpu = 0 ]; then extras+=(warp) needed_mb=8000; fi

# Every extra leaves a hash of what it was installed from, so that a changed lock or pyproject.toml installs it again.
stamps=$venv/installed
wanted=$(cat pyproject.toml "$lock" envs/setup.sh envs/install_torch.sh | sha256sum)
missing=()
for extra in "${extras[@]}"; do
    [ "$(cat "$stamps/$extra" 2>/dev/null)" = "$wanted" ] || missing+=("$extra")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v "$python" >/dev/null || die "$python is not found; install Python 3.11 or newer: apt install python3 python3-venv"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || die "$python does not start"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "$python is Python $version; 3.11 or newer is needed: make PYTHON=python3.11 ..."
"$python" -c 'import ensurepip, venv' 2>/dev/null \
    || die "Python's venv module is missing; install it: apt install python$version-venv"
free_mb=$(df --output=avail -m . | tail -n 1)
[ -d "$venv" ] || [ "$free_mb" -ge "$needed_mb" ] || die "$free_mb MB are free here; the environment needs $needed_mb MB"

# An interrupted installation can break the next one, so an unfinished environment is removed.
begun=$venv/.begun
if [ -e "$begun" ] || [ ! -x "$venv/bin/python" ]; then
    [ -e "$begun" ] && clear=--clear || clear=
    "$python" -m venv $clear "$venv"
    touch "$begun"
fi

# uv does not read pip's configuration: where an index or a proxy is named only there, pip takes over.
install() {
    if command -v uv >/dev/null; then
        echo "installing $1 with uv"
        uv pip install --quiet --python "$venv/bin/python" -c "$lock" --editable "${1/manyseeds/.}" && return
    fi
    echo "installing $1 with pip"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -c "$lock" \
        --editable "${1/manyseeds/.}"
}

# What nothing here uses, 340 MB: what packages carry for their own tests and for other systems, headers and compilers
# for extensions in C++ (those that torch.compile needs stay), Arrow's network protocol, and MuJoCo's program to look at
# models.
trim() {
    local other_cpu=arm64
    [ "$(uname -m)" != aarch64 ] || other_cpu=i64
    rm -rf "$site"/torch/test "$site"/torch/include/ATen/{ops,RedispatchFunctions.h} \
        "$site"/torch/bin/{test_*,*Test,protoc*} "$site"/onnx/backend/test/data "$site"/pyarrow/{include,*flight*} \
        "$site"/mujoco/{studio,_render_filament.*} "$site"/OpenGL/DLLS \
        "$site"/pulp/solverdir/cbc/{osx,win,linux/{i32,$other_cpu}}
    for package in matplotlib networkx numba numpy pandas pyarrow scipy sympy; do
        [ ! -d "$site/$package" ] || find "$site/$package" -type d -name tests -prune -exec rm -rf {} +
    done
}

# Importing a module leaves its bytecode. Of all packages it takes three times as long and 70 MB more than of those that
# the workflow imports.
compile() {
    if [ "$what" = full ]; then
        "$venv/bin/python" -m compileall -qq -j 0 "$site" || true # some packages have files that are no Python
        return
    fi
    for modules in "${imports[@]}"; do
        env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -c "import $modules" &
    done
    wait
}

imports=("manyseeds.report.figures.draw, manyseeds.report.pages.write, manyseeds.workflow.plan, snakemake.cli")
if [ "$what" != analysis ]; then
    envs/install_torch.sh "$venv/bin/python" "$lock" --no-compile
    imports+=("manyseeds.runs.train, manyseeds.evaluation.evaluate, manyseeds.evaluation.film, manyseeds.simulators.mujoco")
fi
install "manyseeds[$(IFS=,; echo "${missing[*]}")]"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
trim
compile
mkdir -p "$stamps"
for extra in "${missing[@]}"; do echo "$wanted" > "$stamps/$extra"; done
rm -f "$begun"
