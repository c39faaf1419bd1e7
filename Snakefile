# manyseeds: config.yaml -> runs (variant x seed) -> checkpoints, curves, episodes -> tables, figures, report.
import gc
import os
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from manyseeds.config.external import ENVIRONMENT_VARIABLE
from manyseeds.core.failures import sentences_of
from manyseeds.core.layout import REPOSITORY
from manyseeds.report.figures import NAMES
from manyseeds.workflow import summary
from manyseeds.workflow.slurm import after_queued, queued
from manyseeds.workflow.plan import make_plan
from manyseeds.workflow.trust import Findings, Planned, prepare

# Planning thousands of jobs triggers the garbage collector again and again; a higher threshold saves a second.
gc.set_threshold(100_000)


def exit_on_error(function, *arguments):
    """Call a function; on an error exit with sentences and no traceback."""
    try:
        return function(*arguments)
    except Exception as error:
        sys.exit("\n".join(sentences_of(error, "snakemake")[0]))


plan = exit_on_error(
    make_plan,
    workflow.config_settings.configfiles,
    workflow.config_settings.config,
    # A cluster job must plan with the cores of the submitting process, not of its own machine.
    (
        workflow.resource_settings.cores
        if workflow.local_exec and workflow.is_main_process
        else None
    ),
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
os.environ["MANYSEEDS_TRAINER_IMAGE"] = plan.trainer_image if CONTAINED else ""
os.environ[ENVIRONMENT_VARIABLE] = plan.trainer_environment
# Without the option no image is named: Snakemake refuses a checkout whose path has a space in it.
SIMULATOR_IMAGE = plan.image(plan.experiment.environment) if CONTAINED else None
ANALYSIS_IMAGE = plan.image("analysis") if CONTAINED else None
SIMULATOR_PYTHON = exit_on_error(plan.python, DEPLOYED)
SIMULATOR_CONDA = plan.conda(plan.experiment.environment) if DEPLOYED else None
ANALYSIS_CONDA = plan.conda("analysis") if DEPLOYED else None


# Jobs that a killed Snakemake left in Slurm's queue continue; a new job for the same run starts after the old one.
left_in_queue = (
    queued(Path.cwd())
    if workflow.is_main_process
    and not workflow.local_exec
    and workflow.executor_plugin.name == "slurm"
    else {}
)


# What Snakemake does not see: other code, and files that are not what their steps left.
findings = (
    exit_on_error(plan.look, DEPLOYED) if workflow.is_main_process else Findings()
)
for sentence in findings.sentences(plan.experiment, RESULTS):
    print(f"note: {sentence}", file=sys.stderr)


def again(pattern):
    """Return an input function that names no file and makes its job run where the job's output must be made again."""

    def force(wildcards):
        path = pattern.format(**dict(wildcards))
        if path in findings.again:
            workflow.dag.forcefiles.add(path)
        return []

    return force


def as_planned(job):
    """Return what `stops` and `prepare` need to know of a job."""
    outputs, settings = [str(path) for path in job.output], workflow.dag_settings
    requested = settings.forceall or not {job.rule.name, *outputs}.isdisjoint(
        settings.forcerun
    )
    return Planned(
        job.rule.name, (outputs or [""])[0], workflow.dag.reason(job).forced, requested
    )


report: "workflow/report/workflow.rst"


# What `onsuccess` tells: the jobs, and the seconds until the first of them started.
done, planning_s = [], []


# Jobs read results/<experiment>/config.json. It is not an output of a rule: a changed key must not repeat every run.
onstart:
    jobs = list(workflow.dag.needrun_jobs())
    planned = list(map(as_planned, jobs))
    makes = not workflow.touch and any(job.rule != "figures" for job in planned)
    if makes and findings.stops(plan.experiment, planned):
        sys.exit(f"error: {findings.advice(plan.experiment, RESULTS)}")
    exit_on_error(plan.begin)
    if makes:
        exit_on_error(prepare, findings, plan.experiment, RESULTS, planned)
    if any(job.rule.name == "train_run" for job in jobs):
        exit_on_error(plan.check_gpus)
        if not CONTAINED:
            exit_on_error(plan.check_trainer)
        if not DEPLOYED:
            exit_on_error(plan.check_simulator)
    done.extend(
        summary.Done(job.rule.name, Path(str(job.benchmark or ""))) for job in jobs
    )
    planning_s.append(summary.since_start())


onsuccess:
    if not workflow.touch and not {job.rule for job in done}.isdisjoint(
        summary.STAGES
    ):
        told = summary.lines(plan, done, planning_s[0], summary.since_start())
        print("", *told, sep="\n", file=sys.stderr)


# Run as many trainings at once as there are GPUs, without a flag.
if plan.gpu_slots:
    workflow.register_resource("gpu_slots", plan.gpu_slots)


# On a cluster these rules run next to Snakemake: each takes seconds.
localrules:
    export,
    aggregate,
    tables,
    draw,


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
            variant=[variant.name for variant in plan.variants if plan.evaluates],
        ),
        plan.records,
    message:
        f"All of {plan.experiment.experiment} is in {RESULTS}: policies, tables, figures, curves.html"


rule train:
    input:
        plan.records,


rule evaluate:
    input:
        plan.evaluations,


# Redraws a results folder from its CSV files. It has no inputs, so that it never trains.
rule figures:
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        results=plan.drawn_from,
    shell:
        "for verb in tables figures pages; do python -m manyseeds $verb {params.results:q}; done"
