# `race:` stops variants that are beaten. Every run trains to the first rung, in the folder in which train_run continues
# it, and plays the race's episodes; when all runs have, the rung is decided, and so on. A dry run shows what there is to
# do at most: the job of a variant that was stopped ends at once.
if plan.rungs:

    rule race_run:
        input:
            lambda wildcards: plan.decided_before(wildcards.rung),
            again(f"{RUN}/rung_{{rung}}.json"),
        output:
            f"{RUN}/rung_{{rung}}.json",
        log:
            f"{LOGS}/{{variant}}/seed_{{seed}}/rung_{{rung}}.log",
        benchmark:
            f"{LOGS}/{{variant}}/seed_{{seed}}/rung_{{rung}}.benchmark.tsv"
        conda:
            SIMULATOR_CONDA
        container:
            SIMULATOR_IMAGE
        threads: lambda wildcards: plan.threads[wildcards.variant, wildcards.seed]
        resources:
            **plan.training_resources,
            **after_queued(workflow.modifier.modify_rulename("race_run"), left_in_queue),
        params:
            config=plan.config_json,
            # A function: braces of JSON would be taken for wildcards.
            settings=lambda wildcards: plan.rung_settings(
                wildcards.variant, wildcards.seed, wildcards.rung
            ),
        shell:
            f"{SIMULATOR_PYTHON}"
            " -m manyseeds rung --config {params.config:q} --variant {wildcards.variant:q}"
            " --seed {wildcards.seed} --rung {wildcards.rung} --threads {threads} --log {log:q}"
            f"{plan.allow_code}"

    rule race:
        input:
            lambda wildcards: plan.scores(wildcards.rung),
            lambda wildcards: plan.decided_before(wildcards.rung),
            again(f"{RESULTS}/race_{{rung}}.json"),
        output:
            report(
                f"{RESULTS}/race_{{rung}}.json",
                caption="../report/race.rst",
                category="Race",
                labels={"rung": "{rung}"},
            ),
        log:
            f"{LOGS}/race_{{rung}}.log",
        benchmark:
            f"{LOGS}/race_{{rung}}.benchmark.tsv"
        localrule: True
        conda:
            ANALYSIS_CONDA
        container:
            ANALYSIS_IMAGE
        params:
            config=plan.config_json,
            # A function: braces of JSON would be taken for wildcards.
            settings=lambda wildcards: plan.race_settings,
        message:
            "Deciding who goes on from rung {wildcards.rung}"
        shell:
            "python -m manyseeds race --config {params.config:q} --rung {wildcards.rung} 2>&1 | tee {log:q}"
