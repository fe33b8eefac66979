"""Measures of claims on several training images, all of MNIST, and colour."""

from __future__ import annotations

from idpipe.claims.measures import Measure, entered_in, to_constant
from idpipe.claims.networks import (
    ALL_RHO,
    FOREIGN,
    NAMED,
    ORTHOGONAL,
    Between,
    JudgedNetwork,
    Probes,
    Run,
)
from idpipe.claims.samples import Sample, Untestable, greatest, least

MEASURES: dict[str, Measure] = {}
"""`c05.identity`, a part of a claim -> the function that takes its number from a run."""
measure = entered_in(MEASURES)


def _all(run: Run, probes: Probes, **wanted: object) -> Sample:
    """Correlation to the identity of a network trained on the full training set of MNIST.

    Its train MSE is that of a minibatch, so it need not fit one image.
    """
    run.trained_on("all_examples", "mnist")
    return run.close(run.net("all_examples", fits=False, **wanted), "identity", probes)


@measure("c01.cnn")
def c01_cnn(run: Run) -> Sample:
    """The 20-layer CNN of Fig. 1."""
    return _all(run, FOREIGN, arch="cnn", depth=20)


@measure("c01.fcn")
def c01_fcn(run: Run) -> Sample:
    """The FCNs of Fig. 1."""
    deep = _all(run, FOREIGN, arch="fcn", depth=10, activation="relu")
    return greatest([deep, _all(run, FOREIGN, arch="fcn", depth=1)])


@measure("c26.identity")
def c26_identity(run: Run) -> Sample:
    """The deepest CNN that the paper tried."""
    return _all(run, NAMED, arch="cnn", depth=24)


def _mixtures(run: Run, arch: str, depth: int | Between) -> Sample:
    """The worse of 2 and 3 training images, each the deepest network in the range."""
    study, found = "few_examples", []
    for count in (2, 3):
        sets = [e for e in run.values(study, "examples") if len(e.split()) == count]
        if not sets:
            raise Untestable(f"{study} has no network of {count} training images")
        for examples in sets:
            nets = run.nets(study, arch=arch, depth=depth, examples=examples)
            found.append(run.evidence(nets[-1], "mixture"))
    return least(found)


@measure("c25.fcn")
def c25_fcn(run: Run) -> Sample:
    """The paper's H9."""
    return _mixtures(run, "fcn", 10)


@measure("c25.cnn")
def c25_cnn(run: Run) -> Sample:
    """The paper's C20 or C24."""
    return _mixtures(run, "cnn", Between(low=20))


def _colour(run: Run, arch: str, depth: Between) -> list[list[JudgedNetwork]]:
    """Per training image of CIFAR-10 the networks in a range of depths, rising."""
    run.trained_on("colour", "cifar10")
    images = run.values("colour", "examples")
    return [run.nets("colour", arch=arch, depth=depth, examples=image) for image in images]


@measure("c28.fcn_shallow")
def c28_fcn_shallow(run: Run) -> Sample:
    """Noise."""
    nets = [found[0] for found in _colour(run, "fcn", Between(high=2))]
    return greatest([run.unsigned(net, "constant", ORTHOGONAL) for net in nets])


@measure("c28.fcn_deep")
def c28_fcn_deep(run: Run) -> Sample:
    """The constant."""
    nets = [found[-1] for found in _colour(run, "fcn", Between(low=10))]
    return least([run.close(net, "constant", ORTHOGONAL) for net in nets])


@measure("c28.cnn_shallow")
def c28_cnn_shallow(run: Run) -> Sample:
    """The identity."""
    nets = [net for found in _colour(run, "cnn", Between(high=5)) for net in found]
    return least([run.close(net, "identity", ALL_RHO) for net in nets])


@measure("c28.cnn_deep")
def c28_cnn_deep(run: Run) -> Sample:
    """The constant."""
    nets = [found[-1] for found in _colour(run, "cnn", Between(low=20))]
    return least([to_constant(run, net) for net in nets])
