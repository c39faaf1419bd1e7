if plan.is_ours:

    rule evaluate_run:
        input:
            f"{RUN}/run.json",
            again(f"{RUN}/episodes.csv"),
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
            **plan.evaluation_resources,
        params:
            run=subpath(output[0], parent=True),
            episodes=plan.experiment.evaluate.episodes,
            seed=plan.experiment.evaluate.seed,
            # A function: braces of JSON would be taken for wildcards.
            overrides=lambda wildcards: plan.evaluation_overrides,
            earlier=lambda wildcards: plan.earlier_episodes(wildcards.variant),
        message:
            "Playing {params.episodes} episodes with the checkpoints of {wildcards.variant}, seed {wildcards.seed}"
        shell:
            f"{SIMULATOR_PYTHON}"
            " -m manyseeds evaluate --run_dir {params.run:q} --episodes {params.episodes} --seed {params.seed}"
            " --overrides {params.overrides:q} --threads {threads} --output {output:q}{params.earlier}"
            f"{plan.allow_code} 2>&1 | tee {{log:q}}{TIDY}"

else:

    # The job starts the trainer's own command, in the trainer's container; the job itself has none.
    rule evaluate_run:
        input:
            f"{RUN}/run.json",
            again(f"{RUN}/episodes.csv"),
        output:
            f"{RUN}/episodes.csv",
        log:
            f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate.log",
        benchmark:
            f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate.benchmark.tsv"
        conda:
            SIMULATOR_CONDA
        threads: lambda wildcards: plan.threads[wildcards.variant, wildcards.seed]
        resources:
            **plan.evaluation_resources,
        params:
            run=subpath(output[0], parent=True),
            config=plan.config_json,
            # A function: braces in a command line would be taken for wildcards.
            settings=lambda wildcards: plan.evaluation_settings,
        message:
            "Evaluating every checkpoint of {wildcards.variant}, seed {wildcards.seed}, by the trainer's own command"
        shell:
            "python -m manyseeds evaluate-external --config {params.config:q} --variant {wildcards.variant:q}"
            f" --seed {{wildcards.seed}} --threads {{threads}} --log {{log:q}}{TIDY}"


# The last checkpoint plays the same episodes again while numbers of the task change.
if plan.factors:

    rule evaluate_factors:
        input:
            f"{RUN}/run.json",
            again(f"{RUN}/factors.csv"),
        output:
            f"{RUN}/factors.csv",
        log:
            f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate_factors.log",
        benchmark:
            f"{LOGS}/{{variant}}/seed_{{seed}}/evaluate_factors.benchmark.tsv"
        conda:
            SIMULATOR_CONDA
        container:
            SIMULATOR_IMAGE
        threads: lambda wildcards: plan.threads[wildcards.variant, wildcards.seed]
        resources:
            **plan.factor_resources,
        params:
            run=subpath(output[0], parent=True),
            episodes=plan.experiment.evaluate.episodes,
            seed=plan.experiment.evaluate.seed,
            # Functions: braces of JSON would be taken for wildcards.
            overrides=lambda wildcards: plan.evaluation_overrides,
            factors=lambda wildcards: plan.factors,
        message:
            "Playing {params.episodes} episodes under each condition of evaluate.factors: {wildcards.variant},"
            " seed {wildcards.seed}"
        shell:
            f"{SIMULATOR_PYTHON}"
            " -m manyseeds evaluate-factors --run_dir {params.run:q} --episodes {params.episodes}"
            " --seed {params.seed} --overrides {params.overrides:q} --factors {params.factors:q}"
            f" --threads {{threads}} --output {{output:q}}{plan.allow_code} 2>&1 | tee {{log:q}}"
