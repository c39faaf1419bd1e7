#!/usr/bin/env bash
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)

usage() {
    cat <<'END'
usage: docker/run_docker.sh [--target TARGET] [--cpu] [COMMAND...]

Opens a shell in a container with the environment of TARGET, or runs COMMAND in it. The image is built if it is missing
or its lock has changed. The checkout is mounted at its own path, new files in it belong to you, and GPUs are passed if
there are any.

  --target TARGET  mujoco (the default), isaaclab or analysis
  --cpu            build the image with PyTorch without CUDA: 2 GB less, for machines without a GPU

Environment variables:
  BUILDER     docker or podman (default: the first one found)
  BASE_IMAGE  the image to start from (docker/build_image.sh --help)

Examples:
  docker/run_docker.sh
  docker/run_docker.sh snakemake --cores all
  docker/run_docker.sh python -m manyseeds train --num_envs 512 --headless lift_object
END
}
die() { echo "error: $*" >&2; exit 1; }

target=mujoco cpu=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit ;;
        --target) [ $# -gt 1 ] || die "--target needs a name (--help)"; target=$2; shift ;;
        --cpu) cpu=(--cpu) ;;
        -*) die "$1 is not an option (--help)" ;;
        *) break ;;
    esac
    shift
done

export BUILDER=${BUILDER:-}
for candidate in docker podman; do
    [ -n "$BUILDER" ] || ! "$candidate" info > /dev/null 2>&1 || BUILDER=$candidate
done
[ -n "$BUILDER" ] || die "neither docker nor podman works here; without them, see docs/containers.md for Apptainer"
image=$("$checkout/docker/build_image.sh" "${cpu[@]}" "$target")
digest=$("$BUILDER" image inspect --format '{{.Id}}' "$image")

# The container's home folder holds the caches of the simulators; it is kept in the checkout.
home=$checkout/.snakemake/home
mkdir -p "$home"
options=(--rm --init --no-healthcheck --ipc=host --volume "$checkout:$checkout" --workdir "$checkout" --env "HOME=$home"
    --env "USER=$(id -un)" --env "PYTHONPATH=$checkout/src" --env "MANYSEEDS_IMAGE=$image@sha256:${digest#sha256:}")
case $BUILDER in
    docker) options+=(--user "$(id -u):$(id -g)") gpus=(--gpus all) ;;
    *)
        options+=(--security-opt=label=disable) gpus=(--device nvidia.com/gpu=all)
        if [ "$(id -u)" = 0 ]; then options+=(--user 0:0); else options+=(--userns=keep-id); fi
        ;;
esac
if nvidia-smi > /dev/null 2>&1; then options+=("${gpus[@]}"); fi
if [ -t 0 ]; then options+=(--interactive --tty); fi
exec "$BUILDER" run "${options[@]}" "$image" "${@:-bash}"
