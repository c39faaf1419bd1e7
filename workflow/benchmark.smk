# A benchmark over tasks: the workflow once for each of its experiments, and a table and a figure over all tasks.
from manyseeds.core.layout import OVER_TASKS
from manyseeds.workflow import benchmark as benchmarks


include: "rules/common.smk"


report: "report/workflow.rst"


bench = exit_on_error(
    benchmarks.make_benchmark,
    workflow.config_settings.configfiles,
    workflow.config_settings.config,
)


# Snakemake takes the name of a module, and how the names of its rules begin, from variables of these names.
for task in bench.fields:
    module_name, prefix = f"task_{task}", f"{task}_"

    module:
        name: module_name
        snakefile:
            "../Snakefile"
        config:
            benchmarks.module_config(bench, task)

    use rule * from module_name as prefix*


# What the modules of all tasks have in common.
shared = globals()[module_name]
done = []


onstart:
    exit_on_error(benchmarks.begin, bench)
    done.extend(job.rule.name for job in workflow.dag.needrun_jobs())


onsuccess:
    if "over_tasks" in done and not workflow.touch:
        print("", *benchmarks.lines(bench), sep="\n", file=sys.stderr)


onerror:
    exit_on_error(benchmarks.report_the_others, bench)


rule benchmark:
    default_target: True
    input:
        [getattr(rules, f"{task}_all").input for task in bench.fields],
        multiext(f"{bench.results}/{OVER_TASKS}", ".csv", ".svg"),
    localrule: True
    message:
        f"All of {bench.name} is in {bench.results}"


rule over_tasks:
    input:
        [getattr(rules, f"{task}_tables").output for task in bench.fields],
    output:
        report(
            f"{bench.results}/{OVER_TASKS}.html",
            caption="report/over_tasks.rst",
            category="All tasks",
            labels={"file": "table over tasks"},
        ),
        report(
            f"{bench.results}/{OVER_TASKS}.svg",
            caption="report/over_tasks.rst",
            category="All tasks",
            labels={"file": "figure over tasks"},
        ),
        multiext(
            f"{bench.results}/{OVER_TASKS}",
            ".csv",
            ".md",
            ".tex",
            ".png",
            ".pdf",
            ".rst",
        ),
    log:
        f"logs/{bench.name}/{OVER_TASKS}.log",
    localrule: True
    conda:
        shared.ANALYSIS_CONDA
    container:
        shared.ANALYSIS_IMAGE
    params:
        results=bench.results,
        shown=benchmarks.settings(bench),
    message:
        f"Writing the table and the figure over all tasks of {bench.results}"
    shell:
        "python -m manyseeds benchmark {params.results:q} 2>&1 | tee {log:q}"
