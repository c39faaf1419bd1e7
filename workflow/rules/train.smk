# One rule per variant, because the number of iterations decides which checkpoints a run leaves. A run is repeated
# when its settings change; if only max_iterations grew, it continues from its state. The job starts an external
# trainer in the trainer's container, so the job itself has none.
for variant in plan.variants:

    rule:
        name:
            f"train_{variant.name}"
        output:
            run=f"{RESULTS}/{variant.name}/seed_{{seed}}/run.json",
            events=f"{RESULTS}/{variant.name}/seed_{{seed}}/events.out.tfevents.manyseeds",
            params=expand(
                f"{RESULTS}/{variant.name}/seed_{{{{seed}}}}/params/{{name}}.yaml",
                name=["agent", "env"] if plan.evaluates else [],
            ),
            checkpoints=[
                f"{RESULTS}/{variant.name}/seed_{{seed}}/{checkpoint}"
                for checkpoint in plan.checkpoints(variant.name)
            ],
        log:
            f"{LOGS}/{variant.name}/seed_{{seed}}/train.log",
        benchmark:
            f"{LOGS}/{variant.name}/seed_{{seed}}/train.benchmark.tsv"
        conda:
            SIMULATOR_CONDA
        container:
            SIMULATOR_IMAGE if plan.evaluates else None
        threads: lambda wildcards, variant=variant.name: plan.threads[variant, wildcards.seed]
        resources:
            **plan.training_demand(variant.name),
            **(
                {
                    "slurm_extra": lambda wildcards, variant=variant.name: after(
                        left_in_queue.get(
                            f"rule_train_{variant}_wildcards_{wildcards.seed}"
                        )
                    )
                }
                if left_in_queue
                else {}
            ),
        params:
            config=plan.config_json,
            variant=variant.name,
            settings=lambda wildcards, variant=variant.name: plan.settings(
                variant, wildcards.seed
            ),
        shell:
            f"{SIMULATOR_PYTHON}"
            " -m manyseeds launch --config {params.config:q} --variant {params.variant:q}"
            " --seed {wildcards.seed} --threads {threads} --log {log:q}"
