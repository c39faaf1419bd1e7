rule evaluate_run:
    input:
        lambda wildcards: expand(
            f"{RUN}/{{checkpoint}}",
            checkpoint=plan.checkpoints(wildcards.variant),
            allow_missing=True,
        ),
        f"{RUN}/params/env.yaml",
    output:
        f"{RUN}/episodes.csv",
    log:
        f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate.log",
    benchmark:
        f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate.benchmark.tsv"
    conda:
        SIMULATOR_CONDA
    container:
        SIMULATOR_IMAGE
    threads: lambda wildcards: plan.threads[wildcards.variant, wildcards.seed]
    resources:
        runtime=lambda wildcards: plan.evaluation_demand(wildcards.variant)["runtime"],
        mem_mb=lambda wildcards: plan.evaluation_demand(wildcards.variant)["mem_mb"],
    params:
        run=subpath(output[0], parent=True),
        episodes=plan.experiment.evaluate.episodes,
        seed=plan.experiment.evaluate.seed,
        tolerance=plan.experiment.evaluate.tolerance,
    shell:
        f"{SIMULATOR_PYTHON}"
        " -m manyseeds evaluate --run_dir {params.run:q} --episodes {params.episodes} --seed {params.seed}"
        " --tolerance {params.tolerance} --threads {threads} --output {output:q} 2>&1 | tee {log:q}"
        + TIDY
