UNDER_FACTORS = [
    (
        "success_under_factors",
        "html",
        "success_under_factors",
        "success under factors",
    ),
    (
        "success_under_factors",
        "csv",
        "success_under_factors_csv",
        "success under factors (CSV)",
    ),
]


# Tables and figures take seconds, so on a cluster they are made next to Snakemake.
rule tables:
    input:
        rules.aggregate.output,
        plan.evaluations,
        plan.factor_evaluations,
        again(f"{RESULTS}/success_rates.html"),
    output:
        [
            report(
                f"{RESULTS}/{name}.{suffix}",
                caption=f"../report/{caption}.rst",
                category="Tables",
                labels={"table": label},
            )
            for name, suffix, caption, label in [
                ("success_rates", "html", "success_rates", "success rates"),
                (
                    "success_rates",
                    "csv",
                    "success_rates_csv",
                    "every checkpoint (CSV)",
                ),
                (
                    "success_rates_over_seeds",
                    "csv",
                    "success_rates_over_seeds_csv",
                    "over seeds (CSV)",
                ),
                (
                    "success_rates_final",
                    "csv",
                    "success_rates_final_csv",
                    "reported numbers (CSV)",
                ),
                (
                    "success_rates_compared",
                    "csv",
                    "success_rates_compared_csv",
                    "variants compared (CSV)",
                ),
                *(UNDER_FACTORS if plan.factors else []),
            ]
        ],
        multiext(
            f"{RESULTS}/success_rates",
            ".md",
            ".tex",
            "_effects.csv",
            "_sources.csv",
        ),
        [f"{RESULTS}/success_rates_by_start.csv"] if plan.names_starts else [],
        (
            multiext(f"{RESULTS}/success_under_factors", ".md", ".tex")
            if plan.factors
            else []
        ),
    log:
        f"{LOGS}/tables.log",
    benchmark:
        f"{LOGS}/tables.benchmark.tsv"
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        results=subpath(output[0], parent=True),
        shown=[plan.experiment.labels, plan.experiment.baseline],
    # Instead of Snakemake's list of all files.
    message:
        f"Writing the tables of {RESULTS}"
    shell:
        "python -m manyseeds tables {params.results:q} 2>&1 | tee {log:q}"


rule draw:
    input:
        rules.aggregate.output,
        rules.tables.output,
        plan.scalars,
        plan.evaluations,
        plan.factor_evaluations,
        plan.records,
        again(f"{RESULTS}/curves.html"),
    output:
        # `manyseeds figures` writes the captions: they name the outcomes and say how many seeds there are.
        [
            report(
                f"{RESULTS}/figures/{name}.svg",
                caption=os.path.abspath(f"{RESULTS}/figures/{name}.rst"),
                category="Figures",
                labels={"figure": name.replace("_", " ")},
            )
            for name in NAMES
        ],
        expand(
            f"{RESULTS}/figures/{{name}}.{{suffix}}",
            name=NAMES,
            suffix=["png", "pdf", "rst"],
        ),
        report(
            f"{RESULTS}/curves.html",
            caption="../report/curves_page.rst",
            category="Curves",
            labels={"page": "all curves"},
        ),
        report(
            f"{RESULTS}/provenance.html",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"page": "runs and configuration"},
        ),
    log:
        f"{LOGS}/draw.log",
    benchmark:
        f"{LOGS}/draw.benchmark.tsv"
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        results=subpath(output[0], ancestor=2),
        band=plan.experiment.curves.band,
        shown=[plan.experiment.labels, plan.experiment.baseline],
    message:
        f"Drawing {len(NAMES)} figures into {RESULTS}/figures, and writing curves.html and provenance.html"
    shell:
        "{{ python -m manyseeds figures {params.results:q} --band {params.band};"
        " python -m manyseeds pages {params.results:q}; }}"
        " 2>&1 | tee {log:q}"


FILM_COMMAND = (
    f"{SIMULATOR_PYTHON} -m manyseeds film {{params.checkpoint:q}} --output {{output.animation:q}}"
    f" --seconds 10{plan.allow_code}"
)


# A machine without OpenGL gets a picture that says so; the run does not fail.
rule animate:
    input:
        f"{RESULTS}/{{variant}}/seed_{plan.experiment.seeds[0]}/run.json",
        again(f"{RESULTS}/{{variant}}/{FILM}"),
    output:
        animation=f"{RESULTS}/{{variant}}/{FILM}",
        page=report(
            f"{RESULTS}/{{variant}}/{FILM_PAGE}",
            caption="../report/animation.rst",
            category="Policies",
            labels={"variant": "{variant}"},
        ),
    log:
        f"{LOGS}/{{variant}}/animate.log",
    benchmark:
        f"{LOGS}/{{variant}}/animate.benchmark.tsv"
    conda:
        SIMULATOR_CONDA
    container:
        SIMULATOR_IMAGE
    params:
        checkpoint=lambda wildcards: plan.filmed(wildcards.variant),
        # What the film takes from config.json, so that a change of it films again.
        evaluation=[plan.experiment.evaluate.seed, plan.experiment.evaluate.overrides],
    message:
        "Filming the policy of {wildcards.variant}"
    shell:
        f"{{{{ {FILM_COMMAND} 2>&1 | tee {{log:q}}"
        f" || {FILM_COMMAND} --stand_in {plan.no_animation}; }}}}"
        " && python -m manyseeds film-page {output.animation:q} --output {output.page:q}"


FAILURES_COMMAND = f"{SIMULATOR_PYTHON} -m manyseeds film-failures {{params.variant:q}}{plan.allow_code}"


# What the episodes of all seeds choose; without OpenGL the same picture.
rule film_failures:
    input:
        [
            f"{RESULTS}/{{variant}}/seed_{seed}/{name}"
            for seed in plan.experiment.seeds
            for name in ("run.json", "episodes.csv")
        ],
        again(f"{RESULTS}/{{variant}}/{FAILURES_FILM}"),
    output:
        expand(
            f"{RESULTS}/{{{{variant}}}}/{{name}}",
            name=[FAILURES_FILM, SEEDS_FILM, FILMED],
        ),
    log:
        f"{LOGS}/{{variant}}/film_failures.log",
    benchmark:
        f"{LOGS}/{{variant}}/film_failures.benchmark.tsv"
    conda:
        SIMULATOR_CONDA
    container:
        SIMULATOR_IMAGE
    params:
        variant=subpath(output[0], parent=True),
    message:
        "Filming what {wildcards.variant} fails at, and all its seeds on one episode"
    shell:
        f"{FAILURES_COMMAND} 2>&1 | tee {{log:q}}"
        f" || {FAILURES_COMMAND} --stand_in {plan.no_animation}"


rule write_report:
    input:
        rules.tables.output,
        rules.draw.output,
        plan.records,
        expand(
            rules.film_failures.output,
            variant=[variant.name for variant in plan.variants if plan.is_ours],
        ),
        again(f"{RESULTS}/{REPORT}"),
    output:
        report(
            f"{RESULTS}/{REPORT}",
            caption="../report/report.rst",
            category="All on one page",
            labels={"page": "report"},
        ),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{LOGS}/report.benchmark.tsv"
    localrule: True
    conda:
        ANALYSIS_CONDA
    container:
        ANALYSIS_IMAGE
    params:
        results=subpath(output[0], parent=True),
        shown=[plan.experiment.labels, plan.experiment.baseline],
    message:
        f"Writing {RESULTS}/{REPORT}: everything on one page"
    shell:
        "python -m manyseeds report {params.results:q} 2>&1 | tee {log:q}"
