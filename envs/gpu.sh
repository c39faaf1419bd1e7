#!/usr/bin/env bash
# Succeeds where packages are to be installed for an NVIDIA GPU: where there is one, or as GPU=yes or GPU=no says.
case ${GPU:-} in
    yes) exit 0 ;;
    no) exit 1 ;;
    "") command -v nvidia-smi >/dev/null || [ -e /proc/driver/nvidia/version ] ;;
    *) echo "error: GPU is '$GPU'; it must be yes or no, or unset" >&2; exit 2 ;;
esac
