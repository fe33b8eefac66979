"""Scorecard: what the run says of each claim of the paper; no cell is trained for it alone."""


rule evidence:
    input:
        lambda wildcards: params.evidence_inputs(TARGETS),
        lambda wildcards: ancient(params.evidence_probes(TARGETS)),
    output:
        ensure(TABLES / "evidence.parquet", non_empty=True),
    log:
        RESULTS / PLAN.config.run / "logs/evidence.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 20,
        mem_mb=1500,
    params:
        asked=lambda wildcards: params.evidence(TARGETS),
    message:
        "measuring what only the claims need"
    script:
        "../scripts/evidence.py"


rule scorecard:
    input:
        [
            TABLES / f"{table}.parquet"
            for table in ["cells", "studies", "metrics", "layers", "evidence"]
        ],
    output:
        [
            (
                report(
                    path,
                    caption="../report/scorecard.rst",
                    category="0 Scorecard",
                    labels={"scorecard": "Which claims hold"},
                )
                if str(path).endswith(".html")
                else path
            )
            for path in TARGETS.scorecard_files
        ],
    log:
        RESULTS / PLAN.config.run / "logs/scorecard.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 20,
        mem_mb=3000,
    params:
        scorecard=lambda wildcards: params.scorecard(TARGETS),
    message:
        "judging the paper's claims by {PLAN.config.run}"
    script:
        "../scripts/scorecard.py"
