"""Images: prepared sources and probe sets."""


rule prepare:
    output:
        train=ensure(RESULTS / "data/{source}/train.npz", non_empty=True),
        test=ensure(RESULTS / "data/{source}/test.npz", non_empty=True),
        info=ensure(RESULTS / "data/{source}/info.json", non_empty=True),
    params:
        spec=lambda wildcards: TARGETS.sources[wildcards.source].model_dump_json(),
    log:
        RESULTS / "logs/prepare/{source}.log",
    benchmark:
        RESULTS / "benchmarks/prepare/{source}.tsv"
    resources:
        mem_mb=1500,
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
            RESULTS
            / "data"
            / TARGETS.probe_sets[wildcards.probes].out_of_domain
            / "test.npz"
        ),
    output:
        ensure(RESULTS / "data/{source}/probes-{probes}.npz", non_empty=True),
    params:
        target=lambda wildcards: probe_params(wildcards.probes),
    log:
        RESULTS / "logs/probes/{source}-{probes}.log",
    benchmark:
        RESULTS / "benchmarks/probes/{source}-{probes}.tsv"
    resources:
        mem_mb=1500,
    message:
        "drawing probe set {wildcards.probes} of {wildcards.source}"
    script:
        "../scripts/probes.py"


def probe_params(key):
    """What a probe set is built from, as JSON."""
    target = TARGETS.probe_sets[key]
    return canonical_json(
        {
            "data": target.data.model_dump(mode="json"),
            "probes": PLAN.config.probes.model_dump(mode="json"),
            "replicates": target.replicates,
        }
    )
