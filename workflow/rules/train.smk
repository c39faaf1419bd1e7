rule resolve:
    output:
        f"{RESULTS}/config.json",
    log:
        f"{LOGS}/resolve.log",
    localrule: True
    params:
        files=plan.configfiles,
        changes=json.dumps(plan.changes),
        resolved=plan.experiment.to_json(),
    shell:
        "python -m manyseeds.config {params.files:q} --changes {params.changes:q} --output {output:q} 2> {log:q}"


# A rule per variant, because its iterations decide which checkpoints a run leaves. A run is repeated when its settings
# change; it then goes on from its state if only max_iterations grew. config.json is ancient because it names all runs.
for variant in plan.variants:

    rule:
        name:
            f"train_{variant.name}"
        input:
            config=ancient(rules.resolve.output),
        output:
            run=f"{RESULTS}/{variant.name}/seed_{{seed}}/run.json",
            events=f"{RESULTS}/{variant.name}/seed_{{seed}}/events.out.tfevents.manyseeds",
            params=expand(
                f"{RESULTS}/{variant.name}/seed_{{{{seed}}}}/params/{{name}}.yaml",
                name=["agent", "env"],
            ),
            checkpoints=[
                f"{RESULTS}/{variant.name}/seed_{{seed}}/{checkpoint}"
                for checkpoint in plan.checkpoints(variant.name)
            ],
        log:
            f"{LOGS}/{variant.name}/seed_{{seed}}/train.log",
        benchmark:
            f"{LOGS}/{variant.name}/seed_{{seed}}/train.benchmark.tsv"
        threads: plan.threads[variant.name]
        params:
            variant=variant.name,
            settings=lambda wildcards, variant=variant.name: plan.settings(
                variant, wildcards.seed
            ),
        shell:
            "python -m manyseeds.trainer --config {input.config:q} --variant {params.variant:q}"
            " --seed {wildcards.seed} --threads {threads} --log {log:q}"
