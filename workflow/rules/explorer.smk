"""Explorer: the whole run as one page, to look at any cell; it needs neither server nor network."""


rule explorer:
    input:
        [TABLES / f"{table}.parquet" for table in ["cells", "metrics", "history", "layers"]],
        lambda wildcards: params.explorer_inputs(TARGETS),
        lambda wildcards: ancient(params.probe_files(TARGETS, PLAN.cells)),
    output:
        ensure(RESULTS / PLAN.config.run / "explorer.html", non_empty=True),
    log:
        RESULTS / PLAN.config.run / "logs/explorer.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 30,
        mem_mb=3000,
    params:
        explorer=lambda wildcards: params.explorer(TARGETS),
    message:
        "putting {PLAN.config.run} on one page"
    script:
        "../scripts/explorer.py"
