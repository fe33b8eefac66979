"""Measures of claims on fully connected networks trained on one image."""

from __future__ import annotations

from idpipe.claims.measures import Measure, entered_in, to_constant, to_identity
from idpipe.claims.networks import FAR, ORTHOGONAL, Between, JudgedNetwork, Run, wide_enough
from idpipe.claims.samples import (
    Sample,
    Untestable,
    combined,
    greatest,
    least,
    log10,
    magnitude,
    mean,
    minus,
)

MEASURES: dict[str, Measure] = {}
"""`c05.identity`, a part of a claim -> the function that takes its number from a run."""
measure = entered_in(MEASURES)
RELU, LINEAR = "fcn_relu_depth", "fcn_linear_depth"
DEEP = Between(low=10)
"""The paper's H9 and deeper."""


def _at_zero(run: Run, net: JudgedNetwork) -> Sample:
    return run.close(net, "constant", ORTHOGONAL)


@measure("c02.deviation")
def c02_deviation(run: Run) -> Sample:
    """Over the training images of the study."""
    nets = [run.counted("theorem1", rung) for rung in run.study("theorem1")]
    return greatest([log10(run.evidence(net, "theorem1_deviation")) for net in nets])


@measure("c03.relu")
def c03_relu(run: Run) -> Sample:
    """The deepest ReLU network."""
    return _at_zero(run, run.nets(RELU, depth=DEEP)[-1])


@measure("c03.linear")
def c03_linear(run: Run) -> Sample:
    """The deepest linear network."""
    return to_constant(run, run.nets(LINEAR, depth=DEEP)[-1])


@measure("c03.deeper")
def c03_deeper(run: Run) -> Sample:
    """The deepest against the 2-layer network."""
    deep = run.nets(RELU, depth=DEEP)[-1]
    return minus(_at_zero(run, deep), _at_zero(run, run.net(RELU, depth=2)))


@measure("c04.constant")
def c04_constant(run: Run) -> Sample:
    """To the training image."""
    return run.unsigned(run.net(LINEAR, depth=1), "constant", ORTHOGONAL)


@measure("c04.identity")
def c04_identity(run: Run) -> Sample:
    """To the input."""
    return run.unsigned(run.net(LINEAR, depth=1), "identity", ORTHOGONAL)


def _linear(run: Run, depth: int, width: int) -> Sample:
    return _at_zero(run, run.net(LINEAR, depth=depth, width=width))


@measure("c16.example")
def c16_example(run: Run) -> Sample:
    """The paper's two networks of Appendix E.1."""
    return minus(_linear(run, 4, 784), _linear(run, 2, 2048))


@measure("c16.effect")
def c16_effect(run: Run) -> Sample:
    """What eight more layers do against what 1,264 more units do."""
    base = _linear(run, 2, 784)
    deeper, wider = _linear(run, 10, 784), _linear(run, 2, 2048)
    return minus(magnitude(minus(deeper, base)), magnitude(minus(wider, base)))


@measure("c17.noise")
def c17_noise(run: Run) -> Sample:
    """Bottom layer trained."""
    net = run.net("fcn_two_layer", train_layers="bottom")
    return run.unsigned(net, "constant", ORTHOGONAL)


@measure("c17.constant")
def c17_constant(run: Run) -> Sample:
    """Both layers trained, against that."""
    both, bottom = (run.net("fcn_two_layer", train_layers=which) for which in ("all", "bottom"))
    return minus(_at_zero(run, both), _at_zero(run, bottom))


@measure("c18.sooner")
def c18_sooner(run: Run) -> Sample:
    """Over the depths that both have at the largest width that both have."""
    widths = [
        {rung["width"] for rung in run.study(study) if rung["depth"] > 1 and wide_enough(rung)}
        for study in (RELU, LINEAR)
    ]
    both = widths[0] & widths[1]
    if not both:
        raise Untestable(f"{RELU} and {LINEAR} share no width without a bottleneck")
    curves = [
        {
            int(net.rung["depth"]): _at_zero(run, net)
            for net in run.some(study, depth=Between(low=2), width=max(both))
        }
        for study in (RELU, LINEAR)
    ]
    shared = sorted(set(curves[0]) & set(curves[1]))
    if not shared:
        raise Untestable("no depth counts in both studies")
    return mean([minus(curves[0][depth], curves[1][depth]) for depth in shared])


def _most(run: Run, study: str) -> Sample:
    run.nets(study, depth=DEEP)
    return greatest(
        [run.unsigned(net, "identity", ORTHOGONAL) for net in run.some(study, depth=Between(1))]
    )


@measure("c19.relu")
def c19_relu(run: Run) -> Sample:
    """Over the depths of ReLU networks."""
    return _most(run, RELU)


@measure("c19.linear")
def c19_linear(run: Run) -> Sample:
    """Over those of linear ones."""
    return _most(run, LINEAR)


RESIDUAL = "fcn_residual"


@measure("c27.identity")
def c27_identity(run: Run) -> Sample:
    """Over depths."""
    return least([to_identity(run, net) for net in run.nets(RESIDUAL)])


@measure("c27.vanilla")
def c27_vanilla(run: Run) -> Sample:
    """Against networks without skip connections, over shared depths."""
    residual, plain = (
        {int(net.rung["depth"]): to_identity(run, net) for net in run.some(study)}
        for study in (RESIDUAL, RELU)
    )
    shared = sorted(set(residual) & set(plain))
    if not shared:
        raise Untestable(f"no depth counts in both {RESIDUAL} and {RELU}")
    return mean([minus(residual[depth], plain[depth]) for depth in shared])


@measure("c27.noisier")
def c27_noisier(run: Run) -> Sample:
    """Error of the deepest against the shallowest."""
    nets = run.nets(RESIDUAL)
    if len(nets) < 2:
        raise Untestable(f"{RESIDUAL} has one depth")
    shallow, deep = (run.measured(nets[n], "identity", FAR, "mse") for n in (0, -1))
    return combined([log10(deep), log10(shallow)], lambda pair: pair[0] - pair[1])
