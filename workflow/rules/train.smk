# A run is repeated when its settings change; if only max_iterations grew, it continues from its state. The record, which
# is written last, is the only output, because Snakemake deletes the outputs of a job before it starts. The job starts
# an external trainer in the trainer's container, so the job itself has none.
rule train_run:
    input:
        plan.decided,
        again(f"{RUN}/run.json"),
    output:
        f"{RUN}/run.json",
    log:
        f"{LOGS}/{{variant}}/seed_{{seed}}/train.log",
    benchmark:
        f"{LOGS}/{{variant}}/seed_{{seed}}/train.benchmark.tsv"
    conda:
        SIMULATOR_CONDA
    container:
        SIMULATOR_IMAGE if plan.is_ours else None
    threads: lambda wildcards: plan.threads[wildcards.variant, wildcards.seed]
    resources:
        **plan.training_resources,
        **after_queued(workflow.modifier.modify_rulename("train_run"), left_in_queue),
    # No message: it would hide the job's resources and its log.
    params:
        config=plan.config_json,
        settings=lambda wildcards: plan.settings(wildcards.variant, wildcards.seed),
    shell:
        f"{SIMULATOR_PYTHON}"
        " -m manyseeds launch --config {params.config:q} --variant {wildcards.variant:q}"
        " --seed {wildcards.seed} --threads {threads} --log {log:q}"
