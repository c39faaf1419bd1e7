# manyseeds: config.yaml -> runs (variant x seed) -> checkpoints, curves, episodes -> tables, figures, report.
import os
import sys

from manyseeds.errors import UserError
from manyseeds.figures import NAMES
from manyseeds.workflow import make_plan

try:
    plan = make_plan(
        workflow.config_settings.configfiles,
        workflow.config_settings.config,
        workflow.resource_settings.cores,
    )
except UserError as error:
    sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))

# {variant} and {seed} stand for one run everywhere below.
RESULTS = plan.results
RUN = f"{RESULTS}/{{variant}}/seed_{{seed}}"
LOGS = f"logs/{plan.experiment.experiment}"


report: "workflow/report/workflow.rst"


# The resolved experiment, which the jobs read. It is no output of a rule: one key changed must not repeat every run.
onstart:
    plan.write_config()


wildcard_constraints:
    variant=r"[^/]+",
    seed=r"\d+",


include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/curves.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.draw.output,
        rules.tables.output,
        expand(
            rules.animate.output,
            variant=[variant.name for variant in plan.variants],
        ),


rule train:
    input:
        plan.run_files("run.json"),
        plan.all_checkpoints,


rule evaluate:
    input:
        plan.run_files("episodes.csv"),


# Draws again what the CSV files of a results folder say, and asks for nothing else, so that it never trains.
rule figures:
    localrule: True
    params:
        results=plan.drawn_from,
    shell:
        "for what in tables figures report_page; do python -m manyseeds.$what {params.results:q}; done"
