#!/bin/bash
# Several nodes under Slurm: sbatch slurm.sh full-bf16 --dataset YOUR_CORPUS --output_dir SHARED_FOLDER
# The output folder must be shared by the nodes, so that all of them see the same checkpoints.
#SBATCH --job-name=soulchat
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --requeue

set -euo pipefail
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export head_node
# A requeued job goes on from its last whole checkpoint.
resume=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then resume=(--resume_from_checkpoint true); fi

srun bash -c 'accelerate launch --multi_gpu \
    --num_machines "$SLURM_NNODES" --num_processes $((SLURM_NNODES * SLURM_GPUS_ON_NODE)) \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$head_node" --main_process_port 29500 --rdzv_backend static \
    -m soulchat_trainer.train "$@"' bash "$@" "${resume[@]}"
