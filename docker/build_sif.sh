#!/usr/bin/env bash
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<'END'
usage: docker/build_sif.sh [--cpu] [--sandbox] [--output FOLDER] [TARGET...] [-- BUILDER OPTIONS...]

Makes the images for `snakemake --use-singularity` from docker/Dockerfile: images/mujoco.sif and images/analysis.sif.
Needs Apptainer or Singularity, and Docker, Podman or Buildah. Images that are up to date are not rebuilt.

  TARGET            mujoco, isaaclab or analysis (default: mujoco analysis)
  --cpu             install PyTorch without CUDA: 2 GB less, for machines without a GPU
  --sandbox         make folders (images/mujoco) instead of .sif files, where .sif files cannot be mounted
  --output FOLDER   where the images go (images/ in the checkout)
  BUILDER OPTIONS   see docker/build_image.sh --help
END
}
die() { echo "error: $*" >&2; exit 1; }

cpu=() sandbox="" targets=() output=$here/../images suffix=.sif
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit ;;
        --cpu) cpu=(--cpu) ;;
        --sandbox) sandbox=--sandbox suffix="" ;;
        --output) [ $# -gt 1 ] || die "--output needs a folder"; output=$2; shift ;;
        --) shift; break ;;
        -*) die "$1 is not an option (--help); put options of the builder after --" ;;
        *) targets+=("$1") ;;
    esac
    shift
done
[ ${#targets[@]} -gt 0 ] || targets=(mujoco analysis)
singularity=$(command -v apptainer || command -v singularity) \
    || die "neither apptainer nor singularity is found; install one of them: https://apptainer.org"
mkdir -p "$output"
output=$(cd "$output" && pwd)

# Whether a file or sandbox exists and was made from these inputs.
is_made_from() {
    [ -e "$1" ] && "$singularity" inspect --labels "$1" 2> /dev/null | grep "^manyseeds.inputs: $2$" > /dev/null
}

# Zstandard at level 3 takes a sixth of gzip's time, and the image starts faster.
squash=()
if [[ $("$singularity" build --help) == *mksquashfs-args* ]]; then
    squash=(--mksquashfs-args "-comp zstd -Xcompression-level 3")
fi

for target in "${targets[@]}"; do
    image=$("$here/build_image.sh" "${cpu[@]}" "$target" "$@")
    file=$output/$target$suffix
    inputs=${image##*:}
    if is_made_from "$file" "$inputs"; then
        echo "$file is up to date"
        continue
    fi
    partial=$output/.$target.partial
    trap 'rm -rf "$partial" "$partial.tar"' EXIT
    rm -rf "$partial" "$partial.tar"
    source=docker-archive:.$target.partial.tar
    if [ -z "$sandbox" ] && is_made_from "$output/$target" "$inputs"; then
        source=$target
    elif docker inspect "$image" > /dev/null 2>&1; then
        docker save --output "$partial.tar" "$image"
    elif podman image exists "$image" 2> /dev/null; then
        podman save --quiet --output "$partial.tar" "$image"
    else
        buildah push --quiet "$image" "docker-archive:$partial.tar"
    fi
    # Run in the folder: the image records the path of the archive.
    (cd "$output" && APPTAINER_TMPDIR=$PWD SINGULARITY_TMPDIR=$PWD \
        "$singularity" build --force $sandbox "${squash[@]}" "$partial" "$source")
    chmod go+rX "$partial"
    rm -rf "$file" "$partial.tar"
    mv "$partial" "$file"
    echo "$file is built"
done
