"""What the Snakefile needs to know: plan, resources, images, Slurm."""
