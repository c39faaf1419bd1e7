rule tables:
    input:
        rules.aggregate.output,
        plan.run_files("episodes.csv"),
    output:
        multiext(
            f"{RESULTS}/success_rates",
            ".csv",
            "_over_seeds.csv",
            ".md",
            ".html",
            ".tex",
        ),
    log:
        f"{LOGS}/tables.log",
    params:
        results=RESULTS,
    shell:
        "python -m manyseeds.tables {params.results:q} 2>&1 | tee {log:q}"


rule draw:
    input:
        rules.aggregate.output,
        rules.tables.output,
        plan.run_files("scalars.csv"),
        plan.run_files("episodes.csv"),
    output:
        directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/draw.log",
    params:
        results=RESULTS,
    shell:
        "python -m manyseeds.figures {params.results:q} 2>&1 | tee {log:q}"
