"""Images: prepared sources and probe sets."""


rule prepare:
    output:
        train=ensure(RESULTS / "data/{source}/train.npz", non_empty=True),
        test=ensure(RESULTS / "data/{source}/test.npz", non_empty=True),
        info=ensure(RESULTS / "data/{source}/info.json", non_empty=True),
    log:
        RESULTS / "logs/prepare/{source}.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 60,
        mem_mb=1500,
    params:
        spec=lambda wildcards: TARGETS.sources[wildcards.source].model_dump_json(),
    message:
        "preparing the images of {wildcards.source}"
    script:
        "../scripts/prepare.py"


rule probes:
    input:
        # Prepared images never change under the same name: a newer date means nothing.
        source=ancient(RESULTS / "data/{source}/train.npz"),
        test=ancient(RESULTS / "data/{source}/test.npz"),
        out_of_domain=lambda wildcards: ancient(
            RESULTS / "data" / TARGETS.probe_sets[wildcards.probes].out_of_domain / "test.npz"
        ),
    output:
        ensure(RESULTS / "data/{source}/probes-{probes}.npz", non_empty=True),
    log:
        RESULTS / "logs/probes/{source}-{probes}.log",
    threads: JOB_THREADS
    resources:
        runtime=lambda wildcards, attempt: attempt * 20,
        mem_mb=1500,
    params:
        target=lambda wildcards: params.probes(TARGETS, wildcards.probes),
    message:
        "drawing probe set {wildcards.probes} of {wildcards.source}"
    script:
        "../scripts/probes.py"
