#!/usr/bin/env bash
# `benchmarks/setup.sh [FOLDER]`: from a clone to the first training iteration of `make run`, once with uv, if it is on the
# PATH, and once with pip. It prints seconds by the clock and of the CPU, and MB on disk. FOLDER (a temporary one) gets 2 GB
# at a time; the caches of uv and pip are used as they are, so a second call measures a warm one.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
folder=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/setup.XXXXXX")
trap 'rm -rf "$folder"' EXIT
unset VENV PYTHONPATH
TIMEFORMAT='%R %U %S'

seconds() { date +%s.%N; }
since() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.0f", to - from }'; }

# The PATH without the folders that have uv, and without an activated environment.
without_uv() {
    local kept=() folders
    IFS=: read -ra folders <<< "$PATH"
    for place in "${folders[@]}"; do [ -x "$place/uv" ] || [ -x "$place/activate" ] || kept+=("$place"); done
    (IFS=:; echo "${kept[*]}")
}

measure() {
    local clone=$folder/$1 start installed first wall user system
    start=$(seconds)
    git clone --quiet "$repository" "$clone"
    cd "$clone"
    printf '%s\n' "experiment: first" "seeds: [1]" "train: {num_envs: 512, max_iterations: 1, save_interval: 1, threads: 1}" \
        "evaluate: {episodes: 1}" > first.yaml
    { time make setup-run > "$folder/$1.log" 2>&1; } 2> "$folder/times" || { cat "$folder/$1.log" >&2; exit 1; }
    read -r wall user system < "$folder/times"
    installed=$(seconds)
    make run CONFIG=first.yaml > "$folder/$1.log" 2>&1 &
    until [ -e results/first/default/seed_1/model_1.pt ]; do
        sleep 0.1
        kill -0 $! 2>/dev/null || [ -e results/first/default/seed_1/model_1.pt ] || { cat "$folder/$1.log" >&2; exit 1; }
    done
    first=$(seconds)
    wait $!
    awk -v who="$1" -v wall="$wall" -v cpu="$user $system" -v run="$(since "$installed" "$first")" \
        -v all="$(since "$start" "$first")" -v mb="$(du -sm .venv | cut -f1)" \
        'BEGIN { split(cpu, s, " "); printf "| %s | %.0f | %.0f | %s | %s | %s |\n", who, wall, s[1] + s[2], run, all, mb }'
    cd "$repository"
    rm -rf "$clone"
}

grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
echo "$(nproc) cores; load $(cut -d ' ' -f 1 /proc/loadavg)"
echo "| installer | set-up, s | set-up, CPU s | make run to its first iteration, s | from clone to first iteration, s | .venv, MiB |"
echo "|---|---|---|---|---|---|"
if command -v uv >/dev/null; then
    mkdir "$folder/bin"
    ln -s "$(command -v uv)" "$folder/bin/uv"
    PATH=$folder/bin:$(without_uv) measure uv
fi
PATH=$(without_uv) measure pip
