# What the rules share.
import sys

from manyseeds.core.failures import sentences_of
from manyseeds.workflow.trust import Planned, date_to_now, prepare


def exit_on_error(function, *arguments):
    """Call a function; on an error exit with sentences and no traceback."""
    try:
        return function(*arguments)
    except Exception as error:
        sys.exit("\n".join(sentences_of(error, "snakemake")[0]))


def again(pattern):
    """Return an input function that names no file and makes its job run where the job's output must be made again."""

    def force(wildcards):
        path = pattern.format(**dict(wildcards))
        if path in findings.again:
            workflow.dag.forcefiles.add(path)
        return []

    return force


def as_planned(job, name):
    """Return what `stops` and `prepare` need to know of a job; `name` is what its rule is called here."""
    outputs, settings = [str(path) for path in job.output], workflow.dag_settings
    requested = settings.forceall or not {job.rule.name, *outputs}.isdisjoint(
        settings.forcerun
    )
    return Planned(
        name, (outputs or [""])[0], workflow.dag.reason(job).forced, requested
    )


def names_here():
    """Return what the rules are called in these files, by their names in the workflow.

    A workflow that uses this one as a module has rules of its own, and may give ours other names.
    """
    return {proxy.rule.name: name for name, proxy in rules._rules.items()}


def begin():
    """Check and record what the jobs need, before the first one starts.

    Jobs read results/<experiment>/config.json. It is not an output of a rule: a changed key must not repeat every run.
    """
    here = names_here()
    planned = [
        as_planned(job, here[job.rule.name])
        for job in workflow.dag.needrun_jobs()
        if job.rule.name in here
    ]
    kinds = {job.rule for job in planned}
    makes = not workflow.touch and bool(kinds - {"figures"})
    if makes and findings.stops(plan.experiment, planned):
        sys.exit(f"error: {findings.advice(plan.experiment, RESULTS)}")
    exit_on_error(plan.begin)
    if makes:
        exit_on_error(prepare, findings, plan.experiment, RESULTS, planned)
        for path in date_to_now(
            str(path) for job in workflow.dag.needrun_jobs() for path in job.input
        ):
            print(
                f"note: {path} was dated in the future; it is dated to now",
                file=sys.stderr,
            )
    if kinds & {"train_run", "race_run"}:
        exit_on_error(plan.check_gpus)
        if not CONTAINED:
            exit_on_error(plan.check_trainer)
        if not DEPLOYED:
            exit_on_error(plan.check_simulator)


def check_module():
    """Refuse what a module statement cannot ask for."""
    if workflow.modifier.modify_path(RESULTS) != RESULTS:
        sys.exit(
            "error: the module statement of manyseeds has a prefix; its files are always below results/<experiment>"
        )


def report_the_others():
    """Write tables and figures without the runs that failed.

    The exit code stays, and the next start trains those runs again.
    """
    of_runs = (
        "race_run",
        "train_run",
        "export",
        "evaluate_run",
        "evaluate_factors",
    )
    here = names_here()
    if any(here.get(job.rule.name) in of_runs for job in workflow.scheduler.failed):
        exit_on_error(plan.report_the_others, DEPLOYED)


def call_too(event, function):
    """Call a function at an event, although this is a module: Snakemake calls only the handler of the main file.

    Args:
        event: onstart or onerror.
        function: called before the handler of the main file.
    """

    def also(handler):
        def both(log):
            function()
            handler(log)

        return both

    register = getattr(workflow, event)
    setattr(workflow, f"_{event}", also(getattr(workflow, f"_{event}")))
    setattr(workflow, event, lambda handler: register(also(handler)))
