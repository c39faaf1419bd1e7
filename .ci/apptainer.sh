#!/usr/bin/env bash
# Installs Apptainer and prints the exports that put it on the PATH: eval "$(.ci/apptainer.sh)".
#
# If the distribution has no package (Debian 12), Debian sid's package is unpacked into its own folder, together with
# the C library it was built for. Only the exports go to standard output. A second call downloads nothing.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/manyseeds
exec 3>&1 >&2

die() { echo "error: Apptainer cannot be installed here: $*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs the packages that are missing.
install() {
    local missing=()
    for package in "$@"; do
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    as_root apt-get update -q
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -q -y --no-install-recommends "${missing[@]}" \
        || die "apt-get install ${missing[*]} failed"
}

# Downloads packages of other releases ("libc6/trixie") from the archive that this machine's apt uses.
download_other_releases() {
    local archive
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" \
        | awk 'NR == 1')
    [ -n "$archive" ] || die "apt knows no archive for $VERSION_CODENAME"
    mkdir -p apt/lists/partial apt/archives/partial
    printf '%s\n' "Types: deb" "URIs: $archive" "Suites: sid trixie" "Components: main" \
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" > apt/other-releases.sources
    printf '%s\n' "Dir::State::Lists \"$PWD/apt/lists\";" "Dir::Cache \"$PWD/apt\";" "APT::Sandbox::User \"root\";" \
        "Dir::Etc::SourceList \"$PWD/apt/other-releases.sources\";" "Dir::Etc::SourceParts \"/dev/null\";" > apt/apt.conf
    APT_CONFIG=$PWD/apt/apt.conf apt-get update -q || die "the package lists of Debian sid cannot be read"
    APT_CONFIG=$PWD/apt/apt.conf apt-get download -q "$@" || die "$* cannot be downloaded"
}

# Unpacks Debian sid's Apptainer into a folder and links it to the C library in that folder.
unpack_from_sid() {
    local folder=$1 partial=$1.partial loader=ld-linux-x86-64.so.2
    [ "$(dpkg --print-architecture)" = amd64 ] || die "without a package only amd64 is supported"
    rm -rf "$partial"
    mkdir -p "$partial/glibc"
    cd "$partial"
    download_other_releases apptainer libc6/trixie
    dpkg -x apptainer_*.deb .
    dpkg -x libc6_*.deb libc
    cp -a libc/usr/lib/x86_64-linux-gnu/{libc.so.6,"$loader",libresolv.so.2,libm.so.6,libnss_*.so.2} glibc
    for program in usr/bin/apptainer usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
        patchelf --set-interpreter "$folder/glibc/$loader" --force-rpath \
            --set-rpath "$folder/glibc:/usr/lib/x86_64-linux-gnu" "$program"
    done
    # Apptainer finds its configuration relative to its program.
    ln -sfn ../etc usr/etc && ln -sfn ../var usr/var && ln -sfn ../../etc usr/lib/etc && ln -sfn ../../var usr/lib/var
    rm -rf apt libc ./*.deb
    cd - > /dev/null
    mv "$partial" "$folder"
}

if ! command -v apptainer > /dev/null; then
    [ -r /etc/os-release ] && . /etc/os-release
    command -v apt-get > /dev/null || die "this is not Debian or Ubuntu; install it by hand: https://apptainer.org"
    # A fresh machine may have no package lists.
    [ -n "$(apt-cache madison bash)" ] || as_root apt-get update -q
    if [ -n "$(apt-cache madison apptainer)" ]; then
        install apptainer
    else
        install squashfs-tools squashfuse patchelf uidmap debian-archive-keyring
        # For all users of the machine, if we are root.
        folder=$([ "$(id -u)" = 0 ] && echo /usr/local/lib/apptainer || echo "$cache/apptainer")
        [ -x "$folder/usr/bin/apptainer" ] || unpack_from_sid "$folder"
        echo "export PATH=$folder/usr/bin:\$PATH" >&3
        PATH=$folder/usr/bin:$PATH
    fi
fi
# Root in a virtual machine may lack CAP_SYS_RESOURCE (24), which Apptainer would try to keep.
if [ "$(id -u)" = 0 ] && (( ! (0x$(awk '/^CapPrm/ {print $2}' /proc/self/status) >> 24 & 1) )); then
    echo "export APPTAINER_DROP_CAPS=CAP_SYS_RESOURCE" >&3
    export APPTAINER_DROP_CAPS=CAP_SYS_RESOURCE
fi
apptainer --version || die "it does not start"
