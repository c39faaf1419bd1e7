#!/usr/bin/env bash
# Every check that needs a GPU, the most important one first:
#   benchmarks/gpu.sh [--out FOLDER] [--seconds N] [--tiny] [PART...]
# PART is one of the following; without any, all of them share the time.
#   guide     the policy-training guide's agent and rewards, 4,096 environments x 2,000 iterations, 1,000 episodes
#   seeds     the unchanged config.yaml, three seeds: time to 90 and 95 % of the evaluation's episodes, reached and held
#   repeat    one seed twice, and once interrupted: from which iteration on they differ
#   isaaclab  the same task in Isaac Lab with Newton: speed, memory, success (ISAACLAB_PYTHON has Isaac Lab)
#   peers     mjlab's cube lift on the same card (PEERS_PYTHON has mjlab)
#   ranks     one run on two GPUs over NCCL
# It takes at most N seconds (530), and a few more to end what it cuts off. FOLDER (gpu_results) gets report.md, one log
# for each part, and the small files of the runs. All grow while the script runs, so it may be killed at any time; what
# is unfinished says so. --tiny runs the same lines on a CPU, small.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

parts=(guide seeds repeat isaaclab peers ranks)
out=gpu_results seconds=530 tiny='' chosen=()
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --tiny) tiny=yes ;;
        *) [[ " ${parts[*]} " == *" $1 "* ]] || { echo "error: $1 is no part; parts are ${parts[*]}" >&2; exit 2; }
           chosen+=("$1") ;;
    esac
    shift
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${parts[@]}")
python=${PYTHON:-python}
isaaclab_python=${ISAACLAB_PYTHON:-$python}
peers_python=${PEERS_PYTHON:-$python}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/manyseeds_gpu.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'kill $(jobs -p) 2> /dev/null; exit 130' INT TERM

# On a GPU and, tiny, on a CPU: the same lines with other numbers.
if [ -n "$tiny" ]; then
    device=(--device cpu --simulator mujoco)
    envs=8 guide_iterations=3 guide_save=1 repeat_iterations=4 isaaclab_envs=2 isaaclab_iterations=1 episodes=4
    mjlab=(cpu 2 4 1)
    printf 'experiment: gpu_check\ndevice: cpu\ntrain: {num_envs: 8, max_iterations: 4, save_interval: 2}\n' > "$work/small.yaml"
else
    device=()
    envs=4096 guide_iterations=2000 guide_save=250 repeat_iterations=30 isaaclab_envs=4096 isaaclab_iterations=300
    episodes=1000
    mjlab=(cuda 4096 240 10)
    printf 'experiment: gpu_check\ndevice: auto\n' > "$work/small.yaml"
fi
# The most that a part may take where others follow: two thirds of the time for the guide's setting.
declare -A share=([guide]=62 [seeds]=50 [repeat]=35 [isaaclab]=40 [peers]=50 [ranks]=100)

say() { printf '%s\n' "$*" | tee -a "$out/report.md"; }

# run SECONDS COMMAND...: runs it, its output into the part's log; says how it ended. `timeout` ends the command even
# if this script has been killed.
run() {
    local limit=$1 begin=$SECONDS status memory
    shift
    if [ "$limit" -lt 5 ]; then
        say "- not run, no time was left: \`$*\`"
        return 1
    fi
    printf '\n$ %s\n' "$*" >> "$out/$part.log"
    watch_memory "$limit" > "$work/memory" 2> /dev/null &
    local watcher=$!
    timeout -k 5 "$limit" "$@" >> "$out/$part.log" 2>&1 &
    wait $!
    status=$?
    kill $watcher 2> /dev/null
    wait $watcher 2> /dev/null
    memory=$(sort -n "$work/memory" | tail -n 1)
    case $status in
        0) status="ended" ;;
        124 | 137) status="**cut off**" ;;
        *) status="**failed** (exit code $status: $(grep -v '^$' "$out/$part.log" | tail -n 1))" ;;
    esac
    say "- $status after $((SECONDS - begin)) s${memory:+, at most $memory MiB of GPU memory in use}: \`$*\`"
    [ "$status" = ended ]
}

# Prints the used memory of the first GPU, MiB, every second for so many seconds.
watch_memory() {
    command -v nvidia-smi > /dev/null || return 0
    exec timeout "$1" nvidia-smi --id=0 --query-gpu=memory.used --format=csv,noheader,nounits --loop=1
}

# Seconds that the present part may still take, `keep` of them kept for what comes after the present command.
remaining() {
    local rest=$((part_end - SECONDS - ${1:-0}))
    echo $((rest > 0 ? rest : 0))
}

table() { "$python" benchmarks/_run_table.py "$@" 2>&1 | tee -a "$out/report.md"; say; }

# Whether a run came far enough to have a checkpoint.
trained() { compgen -G "$1/model_*.pt" > /dev/null || { say "- no checkpoint was reached"; false; }; }

evaluate() {
    run "$(remaining)" "$python" -m manyseeds evaluate --run_dir "$1" --episodes "$episodes" --seed 20260101 \
        --output "$1/episodes.csv"
}

# What a run leaves that is small, in one archive, renewed whole.
keep() {
    (cd "$work" && find . \( -name 'run.json' -o -name '*.csv' -o -name '*.yaml' -o -name 'events.out.*' \) -print0 |
        tar czf "$out/.runs.tar.gz" --null -T -) && mv "$out/.runs.tar.gz" "$out/runs.tar.gz"
}

guide() {
    local run=$work/guide
    run "$(remaining 60)" "$python" -m manyseeds train "${device[@]}" --env_spacing 5.0 --num_envs $envs \
        --max_iterations $guide_iterations --save_interval $guide_save --headless --seed 1 --log_dir "$run" lift_object
    trained "$run" || return
    table "$run"
    evaluate "$run"
    table "$run"
}

seeds() {
    local folder=$work/lift_object seed
    mkdir -p "$folder"
    "$python" -m manyseeds config config.yaml "$work/small.yaml" > "$folder/config.json" || return
    for seed in 1 2 3; do
        run "$(remaining 20)" "$python" -m manyseeds launch --config "$folder/config.json" --seed $seed \
            --log "$out/$part.log" || return
        evaluate "$folder/default/seed_$seed"
        say "Seed $seed:"
        table "$folder/default/seed_$seed"
    done
}

repeat() {
    local flags=(--num_envs "$((envs / 4))" --save_interval "$repeat_iterations" --seed 1 --agent_cfg_path
        src/manyseeds/tasks/lift_object/agent.json) name half=$((repeat_iterations / 2))
    for name in once again; do
        run "$(remaining)" "$python" -m manyseeds train "${device[@]}" "${flags[@]}" \
            --max_iterations "$repeat_iterations" --log_dir "$work/$name" lift_object || return
    done
    say "The same seed twice:"
    table "$work/once" --than "$work/again"
    for name in $half $repeat_iterations; do
        run "$(remaining)" "$python" -m manyseeds train "${device[@]}" "${flags[@]}" --max_iterations "$name" \
            --log_dir "$work/resumed" lift_object || return
    done
    say "Undisturbed, and resumed after half of its iterations:"
    table "$work/once" --than "$work/resumed"
}

isaaclab() {
    local run=$work/isaaclab
    if ! "$isaaclab_python" -c 'import isaaclab' 2> /dev/null; then
        say "- not run: $isaaclab_python has no Isaac Lab (envs/isaaclab.lock)"
        return
    fi
    run "$(remaining 40)" "$isaaclab_python" -m manyseeds train --simulator isaaclab --num_envs $isaaclab_envs \
        --max_iterations $isaaclab_iterations --save_interval 50 --seed 1 --headless --log_dir "$run" lift_object
    trained "$run" || return
    table "$run"
    run "$(remaining)" "$isaaclab_python" -m manyseeds evaluate --run_dir "$run" --episodes "$episodes" \
        --seed 20260101 --output "$run/episodes.csv"
    table "$run"
}

peers() {
    if ! "$peers_python" -c 'import mjlab' 2> /dev/null; then
        say "- not run: $peers_python has no mjlab (benchmarks/requirements-warp-peers.txt)"
        return
    fi
    run "$(remaining)" "$peers_python" benchmarks/_mjlab_lift.py "${mjlab[@]}" && say "$(tail -n 1 "$out/$part.log")"
}

ranks() {
    local gpus flags=(--num_envs "$envs" --max_iterations "$repeat_iterations" --seed 1 --agent_cfg_path
        src/manyseeds/tasks/lift_object/agent.json)
    gpus=$("$python" -c 'import torch; print(torch.cuda.device_count())')
    if [ "$gpus" -lt 2 ] && [ -z "$tiny" ]; then
        say "- not run: there is $gpus GPU, and two are needed"
        return
    fi
    run "$(remaining)" "$python" -m manyseeds train "${device[@]}" "${flags[@]}" --distributed --nproc_per_node 2 \
        --log_dir "$work/ranks" lift_object || return
    table "$work/ranks"
}

say "# $(date -u +%Y-%m-%dT%H:%M:%SZ)${tiny:+, tiny, on a CPU: only a check of this script}"
say
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null | sed 's/^/GPU: /' |
    tee -a "$out/report.md"
"$python" - << 'END' 2>&1 | tee -a "$out/report.md"
import sys
from importlib.metadata import PackageNotFoundError, version

for name in ("torch", "warp-lang", "mujoco", "mujoco-warp", "rsl-rl-lib", "isaaclab", "mjlab"):
    try:
        print(f"{name} {version(name)}", end="; ")
    except PackageNotFoundError:
        print(f"no {name}", end="; ")
print(f"Python {sys.version.split()[0]}")
END
last=${chosen[-1]}
for part in "${chosen[@]}"; do
    given=$((seconds - SECONDS))
    [ "$part" = "$last" ] || given=$((given * share[$part] / 100))
    part_end=$((SECONDS + given))
    say
    say "## $part"
    say
    if [ "$given" -lt 10 ]; then
        say "- not run: no time was left"
        continue
    fi
    "$part"
    keep
done
say
say "Done after $SECONDS s."
