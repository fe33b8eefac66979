"""What the report says beside the figures: `snakemake --report report.html` puts it together."""


rule provenance:
    input:
        cells=TABLES / "cells.parquet",
        status=[TARGETS.layout.cell(cell) / "status.json" for cell in PLAN.cells],
    output:
        report(PROVENANCE, caption="../report/provenance.rst", category="Provenance"),
    log:
        RESULTS / PLAN.config.run / "logs/provenance.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 20,
        mem_mb=1500,
    message:
        "writing down what {PLAN.config.run} was made with"
    script:
        "../scripts/provenance.py"
