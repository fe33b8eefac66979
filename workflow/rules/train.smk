"""Training: one job per cell, all its replicates together."""


rule train:
    input:
        lambda wildcards: ancient(params.source_folder(TARGETS, wildcards.cell) / "train.npz"),
    output:
        # The cell's path holds the hash of its spec: the path is the whole dependency.
        spec=ensure(RESULTS / "cells/{cell}/cell.json", non_empty=True),
        weights=ensure(RESULTS / "cells/{cell}/weights.safetensors", non_empty=True),
        history=ensure(RESULTS / "cells/{cell}/history.parquet", non_empty=True),
        status=ensure(RESULTS / "cells/{cell}/status.json", non_empty=True),
    log:
        RESULTS / "logs/train/{cell}.log",
    # The longest first, or the last core waits for it at the end.
    priority: lambda wildcards: PLAN.cells[wildcards.cell].work
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: (
            attempt * costs.training_minutes(PLAN.cells[wildcards.cell], PRICES)
        ),
        mem_mb=lambda wildcards, attempt: attempt * costs.memory_mib(PLAN.cells[wildcards.cell]),
        vram_mb=lambda wildcards, attempt: attempt * costs.vram_mib(PLAN.cells[wildcards.cell]),
    params:
        cell=lambda wildcards: PLAN.cells[wildcards.cell].canonical(),
    message:
        "training {wildcards.cell}"
    script:
        "../scripts/train.py"
