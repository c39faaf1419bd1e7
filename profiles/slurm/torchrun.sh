#!/usr/bin/env bash
# One run on the GPUs of several nodes, one process per GPU:
#   sbatch --nodes 2 --gpus-per-node 4 profiles/slurm/torchrun.sh \
#       --device cuda --num_envs 16384 --log_dir results/large lift_object
# Arguments after the script's name are passed to `manyseeds train`. With --log_dir the job resumes its run when Slurm
# requeues it. PROCESSES_PER_NODE sets another number of processes per node.
#SBATCH --job-name=manyseeds
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# The nodes meet on the first node, at a port that depends on the job.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
# If one process fails, end all: the others would wait for it.
exec srun --kill-on-bad-exit=1 python -m torch.distributed.run --nnodes "$SLURM_NTASKS" \
    --nproc_per_node "${PROCESSES_PER_NODE:-gpu}" --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d \
    --rdzv_endpoint "$first:$port" -m manyseeds train --distributed "$@"
