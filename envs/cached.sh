# Sourced by envs/isaaclab_cpu.sh and envs/mjlab_cpu.sh, from the repository's root: an environment for the tests in the
# user's cache, made anew when one of the files that describe it has changed. It prints its folder as its last line.
#
#   cached NAME TITLE FOLDER LOCK FILE...
#
# makes it in FOLDER, or in the cache if that is empty, and calls `install_packages`, for which `install` is pip with the
# versions of LOCK. PYTHON selects the interpreter.

die() { echo "error: $*" >&2; exit 1; }

cached() {
    local name=$1 title=$2 python=${PYTHON:-python3} wanted stamp free_mb
    lock=$4
    wanted=$(cat "${@:4}" envs/cached.sh | sha256sum)
    folder=${3:-${XDG_CACHE_HOME:-$HOME/.cache}/manyseeds/$name-${wanted:0:12}}
    mkdir -p "$folder"
    exec 9< "$folder"
    flock 9 # another call may be installing it
    stamp=$folder/.installed
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        command -v "$python" >/dev/null || die "$python is not found; install Python 3.11 or newer"
        free_mb=$(df --output=avail -m "$folder" | tail -n 1)
        [ "$free_mb" -ge 4000 ] || die "$free_mb MB are free in $folder; the environment needs 4000 MB"
        "$python" -m venv "$folder"
        envs/install_torch.sh "$folder/bin/python" "$lock" >&2
        echo "installing $title" >&2
        install_packages
        echo "$wanted" > "$stamp"
    fi
    echo "$folder"
}

install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c "$lock" "$@"; }
