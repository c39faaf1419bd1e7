# manyseeds: config.yaml -> runs (variant x seed) -> checkpoints, curves, episodes -> tables, figures, report.
import gc
import os
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from manyseeds.config.external import ENVIRONMENT_VARIABLE
from manyseeds.core.layout import (
    FAILURES_FILM,
    FILM,
    FILM_PAGE,
    FILMED,
    REPORT,
    SEEDS_FILM,
)
from manyseeds.report.figures import NAMES
from manyseeds.workflow import summary
from manyseeds.workflow.slurm import after_queued, queued
from manyseeds.workflow.plan import make_plan
from manyseeds.workflow.trust import Findings


include: "workflow/rules/common.smk"


# Snakemake limits the number of jobs on a cluster only. It sets `workflow.executor_plugin` after it has read this file.
ON_CLUSTER = workflow.resource_settings.nodes is not None

# Planning thousands of jobs triggers the garbage collector again and again; a higher threshold saves a second.
gc.set_threshold(100_000)

plan = exit_on_error(
    make_plan,
    workflow.config_settings.configfiles,
    workflow.config_settings.config,
    # A cluster job must plan with the cores of the submitting process, not of its own machine.
    (
        workflow.resource_settings.cores
        if workflow.is_main_process and not ON_CLUSTER
        else None
    ),
    # As a module this workflow gets its config from the one that uses it.
    None if workflow.modifier.is_main_snakefile() else config,
)

# The wildcards {variant} and {seed} name one run in all rules.
RESULTS = plan.results
RUN = f"{RESULTS}/{{variant}}/seed_{{seed}}"
LOGS = plan.logs
# With `keep_state: false` the last step that reads a run removes its training state.
TIDY = plan.tidy

# Environments hold packages and the checkout holds code: jobs import it from here, with or without a container.
CONTAINED = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
DEPLOYED = bool(workflow.deployment_settings.deployment_method)
shell.prefix(plan.shell_prefix(DEPLOYED))
if CONTAINED:
    os.environ.update(exit_on_error(plan.container_settings))
# The image of an external trainer. Not a parameter of the rule, so that another image does not repeat runs.
os.environ.update(
    {
        "MANYSEEDS_TRAINER_IMAGE": plan.trainer_image if CONTAINED else "",
        ENVIRONMENT_VARIABLE: plan.trainer_environment,
    }
)
# Without the option no image is named: Snakemake refuses a checkout whose path has a space in it.
SIMULATOR_IMAGE = plan.image(plan.experiment.environment) if CONTAINED else None
ANALYSIS_IMAGE = plan.image("analysis") if CONTAINED else None
SIMULATOR_PYTHON = exit_on_error(plan.python, DEPLOYED)
SIMULATOR_CONDA = plan.conda(plan.experiment.environment) if DEPLOYED else None
ANALYSIS_CONDA = plan.conda("analysis") if DEPLOYED else None


# Jobs that a killed Snakemake left in Slurm's queue continue; a new job for the same run starts after the old one.
left_in_queue = queued(Path.cwd()) if workflow.is_main_process and ON_CLUSTER else {}


# What Snakemake does not see: other code, and files that are not what their steps left.
findings = (
    exit_on_error(plan.look, DEPLOYED) if workflow.is_main_process else Findings()
)
for sentence in findings.sentences(plan.experiment, RESULTS):
    print(f"note: {sentence}", file=sys.stderr)


report: "workflow/report/workflow.rst"


# What `onsuccess` tells: the jobs, and the seconds until the first of them started.
done, planning_s = [], []


onstart:
    begin()
    done.extend(
        summary.Done(job.rule.name, Path(str(job.benchmark or "")))
        for job in workflow.dag.needrun_jobs()
    )
    planning_s.append(summary.since_start())


onsuccess:
    if not workflow.touch and not {job.rule for job in done}.isdisjoint(
        summary.STAGES
    ):
        told = summary.lines(plan, done, planning_s[0], summary.since_start())
        print("", *told, sep="\n", file=sys.stderr)


if not workflow.modifier.is_main_snakefile():
    check_module()
    call_too("onstart", begin)
    call_too("onerror", report_the_others)


onerror:
    report_the_others()


# Run as many trainings at once as there are GPUs, without a flag.
if plan.gpu_slots:
    workflow.register_resource("gpu_slots", plan.gpu_slots)


wildcard_constraints:
    variant=r"[^/]+",
    seed=r"\d+",
    rung=r"\d+",


include: "workflow/rules/race.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/curves.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.write_report.output,
        rules.draw.output,
        rules.tables.output,
        expand(
            rules.animate.output,
            variant=[variant.name for variant in plan.variants if plan.is_ours],
        ),
        plan.records,
    message:
        f"All of {plan.experiment.experiment} is in {RESULTS}: report.html, policies, tables, figures, curves.html"


rule train:
    input:
        plan.records,


rule evaluate:
    input:
        plan.evaluations,
        plan.factor_evaluations,


# Redraws a results folder from its CSV files. It has no inputs, so that it never trains.
rule figures:
    log:
        f"{LOGS}/figures.log",
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        results=plan.drawn_from,
    shell:
        "for verb in tables figures pages report; do python -m manyseeds $verb {params.results:q}; done 2>&1 | tee {log:q}"
