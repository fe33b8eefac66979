"""Evaluation: every replicate of a cell on its probe set."""


rule evaluate:
    input:
        spec=RESULTS / "cells/{cell}/cell.json",
        weights=RESULTS / "cells/{cell}/weights.safetensors",
        probes=lambda wildcards: ancient(TARGETS.probes(wildcards.cell)),
    output:
        metrics=ensure(RESULTS / "cells/{cell}/eval-{probes}/metrics.parquet", non_empty=True),
        predictions=ensure(RESULTS / "cells/{cell}/eval-{probes}/predictions.npz", non_empty=True),
    log:
        RESULTS / "logs/evaluate/{cell}-{probes}.log",
    benchmark:
        RESULTS / "benchmarks/evaluate/{cell}-{probes}.tsv"
    threads: JOB_THREADS
    resources:
        mem_mb=1500,
    params:
        correlation=PLAN.config.probes.correlation,
    message:
        "evaluating {wildcards.cell}"
    script:
        "../scripts/evaluate.py"
