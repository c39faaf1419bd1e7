#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: docker/build_image.sh [--cpu] [TARGET] [BUILDER OPTIONS...]

Builds the image of an environment, unless it exists, and prints its name.

  TARGET     mujoco (the default), isaaclab or analysis
  --cpu      install PyTorch without CUDA: 2 GB less, for machines without a GPU
  BUILDER OPTIONS
             are passed to the builder, such as --secret id=pip.conf,src=FILE or --network host

Environment variables:
  BUILDER     docker, podman or buildah (default: the first one found)
  BASE_IMAGE  the image to start from: Debian or Ubuntu (debian:bookworm-slim; ubuntu:24.04 for isaaclab)
END
}
die() { echo "error: $*" >&2; exit 1; }

torch_index=""
case ${1:-} in
    -h | --help) usage; exit ;;
    --cpu) torch_index=https://download.pytorch.org/whl/cpu; shift ;;
esac
target=${1:-mujoco}
[ $# -eq 0 ] || shift
base=debian:bookworm-slim
case $target in
    mujoco | analysis) ;;
    isaaclab) base=ubuntu:24.04 ;;
    *) die "the target '$target' is unknown; it must be mujoco, isaaclab or analysis (--help)" ;;
esac
base=${BASE_IMAGE:-$base}

usable() {
    case $1 in
        docker | podman) "$1" info > /dev/null 2>&1 ;;
        *) command -v "$1" > /dev/null ;;
    esac
}
builder=${BUILDER:-}
for candidate in docker podman buildah; do
    [ -n "$builder" ] || ! usable "$candidate" || builder=$candidate
done
[ -n "$builder" ] || die "neither docker, podman nor buildah works here; one of them is needed to build an image"

# The tag is a hash of the inputs, so that another lock gives another image.
inputs=$(cat docker/Dockerfile docker/environment.py pyproject.toml envs/requirements.lock envs/isaaclab.{in,lock} \
    <(echo "$base $torch_index") | sha256sum | head -c 12)
image=localhost/manyseeds-$target:$inputs
if ! "$builder" inspect "$image" > /dev/null 2>&1; then
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/manyseeds/__init__.py)
    revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2> /dev/null || echo unknown)
    options=(--file docker/Dockerfile --target "$target" --tag "$image" --build-arg "BASE_IMAGE=$base"
        --build-arg "TORCH_INDEX=$torch_index" --label "org.opencontainers.image.version=$version"
        --label "org.opencontainers.image.revision=$revision" --label "manyseeds.inputs=$inputs")
    case $builder in
        docker) export DOCKER_BUILDKIT=1 ;;
        # Only Docker's image format has health checks.
        *) options+=(--format docker --layers) ;;
    esac
    "$builder" build "${options[@]}" "$@" . >&2
fi
echo "$image"
