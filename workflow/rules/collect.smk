"""Tables: everything a run measured, in five Parquet files."""


rule collect:
    input:
        metrics=[TARGETS.evaluation(cell) / "metrics.parquet" for cell in PLAN.cells],
        status=[TARGETS.layout.cell(cell) / "status.json" for cell in PLAN.cells],
        history=[TARGETS.layout.cell(cell) / "history.parquet" for cell in PLAN.cells],
        layers=params.analysis_tables(TARGETS),
    output:
        cells=ensure(TABLES / "cells.parquet", non_empty=True),
        studies=ensure(TABLES / "studies.parquet", non_empty=True),
        metrics=ensure(TABLES / "metrics.parquet", non_empty=True),
        history=ensure(TABLES / "history.parquet", non_empty=True),
        layers=ensure(TABLES / "layers.parquet", non_empty=True),
    log:
        RESULTS / PLAN.config.run / "logs/collect.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 20,
        mem_mb=1500,
    params:
        members=lambda wildcards: params.tables(TARGETS),
    message:
        "gathering the tables of {PLAN.config.run}"
    script:
        "../scripts/collect.py"
