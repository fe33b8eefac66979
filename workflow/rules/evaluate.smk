"""Evaluation: every replicate of a cell on its probe set, and what its single layers do."""


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
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: (
            attempt * resources.evaluation_minutes(TARGETS, PRICES, wildcards.cell)
        ),
        mem_mb=lambda wildcards: 1500 + resources.evaluation_mb(TARGETS, wildcards.cell),
    params:
        correlation=PLAN.config.probes.correlation,
    message:
        "evaluating {wildcards.cell}"
    script:
        "../scripts/evaluate.py"


rule layers:
    input:
        spec=RESULTS / "cells/{cell}/cell.json",
        weights=RESULTS / "cells/{cell}/weights.safetensors",
        status=RESULTS / "cells/{cell}/status.json",
        probes=lambda wildcards: ancient(TARGETS.probes(wildcards.cell)),
    output:
        table=ensure(RESULTS / "cells/{cell}/eval-{probes}/layers.parquet", non_empty=True),
        views=ensure(RESULTS / "cells/{cell}/eval-{probes}/layers.npz", non_empty=True),
    log:
        RESULTS / "logs/layers/{cell}-{probes}.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: (
            attempt * resources.evaluation_minutes(TARGETS, PRICES, wildcards.cell)
        ),
        mem_mb=lambda wildcards: 1500 + resources.evaluation_mb(TARGETS, wildcards.cell),
    message:
        "looking at the layers of {wildcards.cell}"
    script:
        "../scripts/layers.py"


rule classifier:
    input:
        spec=RESULTS / "cells/{cell}/cell.json",
        weights=RESULTS / "cells/{cell}/weights.safetensors",
        status=RESULTS / "cells/{cell}/status.json",
        train=lambda wildcards: ancient(params.source_folder(TARGETS, wildcards.cell) / "train.npz"),
        test=lambda wildcards: ancient(params.source_folder(TARGETS, wildcards.cell) / "test.npz"),
    output:
        # The evaluation's hash covers how many images of each class.
        ensure(RESULTS / "cells/{cell}/eval-{probes}/classifier-{state}.parquet", non_empty=True),
    log:
        RESULTS / "logs/classifier/{cell}-{probes}-{state}.log",
    priority: lambda wildcards: PLAN.cells[wildcards.cell].work
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: (
            attempt * resources.classifier_minutes(TARGETS, PRICES, wildcards.cell)
        ),
        mem_mb=lambda wildcards: 3000 + resources.evaluation_mb(TARGETS, wildcards.cell),
    params:
        probes=PLAN.config.probes.model_dump_json(),
    message:
        "classifying by the layers of {wildcards.cell}, {wildcards.state}"
    script:
        "../scripts/classifier.py"
