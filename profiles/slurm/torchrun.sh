#!/usr/bin/env bash
# One run on the GPUs of several nodes, a process on each GPU:
#   sbatch --nodes 2 --gpus-per-node 4 profiles/slurm/torchrun.sh \
#       --device cuda --num_envs 16384 --log_dir results/large lift_object
# What follows the script's name goes to `python -m manyseeds train`. With --log_dir the job continues its run when
# Slurm starts it again. PROCESSES_PER_NODE says how many processes there are on a node where not one for each GPU.
#SBATCH --job-name=manyseeds
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# Where the nodes meet: on the first one, at a port of this job's.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
# Whichever process fails, all end: the others would wait for it.
exec srun --kill-on-bad-exit=1 python -m torch.distributed.run --nnodes "$SLURM_NTASKS" \
    --nproc_per_node "${PROCESSES_PER_NODE:-gpu}" --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d \
    --rdzv_endpoint "$first:$port" -m manyseeds train --distributed "$@"
