#!/bin/sh
# Prints the state of a PBS Pro job for Snakemake: success, running or failed.
state=$(qstat -x -f "$1" 2>/dev/null) || { echo failed; exit; }
case $state in
    *"job_state = F"*"Exit_status = 0"* | *"Exit_status = 0"*"job_state = F"*) echo success ;;
    *"job_state = F"*) echo failed ;;
    *) echo running ;;
esac
