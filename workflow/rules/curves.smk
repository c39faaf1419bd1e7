# On a cluster the rules here run next to Snakemake: each takes seconds.
rule export:
    input:
        f"{RUN}/run.json",
        again(f"{RUN}/scalars.csv"),
    output:
        table=f"{RUN}/scalars.csv",
        account=f"{RUN}/scalars.json",
    log:
        f"{LOGS}/{{variant}}/seed_{{seed}}/export.log",
    benchmark:
        f"{LOGS}/{{variant}}/seed_{{seed}}/export.benchmark.tsv"
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        run=subpath(input[0], parent=True),
        first=plan.first_iteration,
        # A function: braces in a tag would be taken for wildcards.
        reward=lambda wildcards: plan.experiment.trainer.scalars.reward,
        allow="--allow-corrupt" if plan.experiment.curves.allow_corrupt else "",
    message:
        "Reading the scalars of {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m manyseeds scalars {params.run:q} --output {output.table:q} --account {output.account:q}"
        " --first-iteration {params.first} --iterations-of {params.reward:q} {params.allow} 2>&1 | tee {log:q}"
        + ("" if plan.evaluates else TIDY)


rule aggregate:
    input:
        plan.scalars,
        again(f"{RESULTS}/learning_curves.csv"),
    output:
        f"{RESULTS}/learning_curves.csv",
    log:
        f"{LOGS}/aggregate.log",
    benchmark:
        f"{LOGS}/aggregate.benchmark.tsv"
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        config=plan.config_json,
        # A function: braces in a command line would be taken for wildcards.
        runs=lambda wildcards: plan.all_settings,
    message:
        f"Computing the learning curves of {RESULTS} over seeds"
    shell:
        "python -m manyseeds curves --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"
