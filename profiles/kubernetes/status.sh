#!/bin/sh
# Prints the state of a Kubernetes job for Snakemake: success, running or failed.
state=$(kubectl get "$1" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}' 2>/dev/null) || { echo failed; exit; }
case $state in
    *Complete*) echo success ;;
    *Failed*) echo failed ;;
    *) echo running ;;
esac
