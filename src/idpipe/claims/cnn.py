"""Measures of claims on convolutional networks trained on one image, and on their layers."""

from __future__ import annotations

from idpipe.claims.measures import Measure, entered_in, to_constant, worst_rho
from idpipe.claims.networks import ALL_RHO, FAR, NAMED, Between, JudgedNetwork, Run, sized
from idpipe.claims.samples import (
    Sample,
    Untestable,
    greatest,
    least,
    log10,
    mean,
    minus,
)

MEASURES: dict[str, Measure] = {}
"""`c05.identity`, a part of a claim -> the function that takes its number from a run."""
measure = entered_in(MEASURES)
DEPTH = "cnn_depth"
SHALLOW, DEEP = 5, 20
"""The paper's CNNs that learn the identity and the constant."""


@measure("c05.identity")
def c05_identity(run: Run) -> Sample:
    """Over depths up to 5, which must be there, and rho."""
    run.net(DEPTH, depth=SHALLOW)
    nets = run.nets(DEPTH, depth=Between(high=SHALLOW))
    return least([worst_rho(run, net) for net in nets])


@measure("c06.constant")
def c06_constant(run: Run) -> Sample:
    """Of the 20-layer CNN."""
    return to_constant(run, run.net(DEPTH, depth=DEEP))


def _middle(run: Run) -> JudgedNetwork:
    nets = run.nets(DEPTH, depth=Between(13, 15))
    return min(nets, key=lambda net: abs(int(net.rung["depth"]) - 14))


@measure("c07.identity")
def c07_identity(run: Run) -> Sample:
    """Of the CNN of about 14 layers."""
    return run.close(_middle(run), "identity", FAR)


@measure("c07.constant")
def c07_constant(run: Run) -> Sample:
    """Of the same network."""
    return run.close(_middle(run), "constant", FAR)


def _errors(run: Run) -> list[dict[int, Sample]]:
    return [run.layers(run.net(DEPTH, depth=depth), "error_rate") for depth in (7, 14)]


def _hidden(errors: dict[int, Sample]) -> Sample:
    return greatest([sample for layer, sample in errors.items() if 0 < layer < max(errors)])


@measure("c08.loss")
def c08_loss(run: Run) -> Sample:
    """How far the error rate rises from the input to the worst hidden layer."""
    return mean([minus(_hidden(errors), errors[0]) for errors in _errors(run)])


@measure("c08.recovery")
def c08_recovery(run: Run) -> Sample:
    """How far it falls from there to the output."""
    return mean([minus(_hidden(errors), errors[max(errors)]) for errors in _errors(run)])


def _above_chance(run: Run, layers: range) -> Sample:
    """Untrained, so whether a replicate trained well later does not matter, but that it counts."""
    net = run.net(DEPTH, depth=DEEP)
    errors = run.layers(net, "error_rate", "untrained")
    chance = run.layers(net, "chance", "untrained")[0]
    return minus(chance, mean([errors[layer] for layer in layers]))


@measure("c08.untrained_first")
def c08_untrained_first(run: Run) -> Sample:
    """What the first layer of an untrained network tells of the class."""
    return _above_chance(run, range(1, 2))


@measure("c08.untrained_later")
def c08_untrained_later(run: Run) -> Sample:
    """What the layers beyond the sixth tell."""
    return _above_chance(run, range(7, DEEP + 1))


@measure("c09.larger")
def c09_larger(run: Run) -> Sample:
    """The 5-layer CNN on inputs of four times the size."""
    return run.close(run.net(DEPTH, depth=SHALLOW), "identity", sized(112))


@measure("c09.smaller")
def c09_smaller(run: Run) -> Sample:
    """On inputs of a quarter of the size."""
    return run.close(run.net(DEPTH, depth=SHALLOW), "identity", sized(7))


@measure("c10.range")
def c10_range(run: Run) -> Sample:
    """The 20-layer CNN on inputs of half and of twice the size."""
    net = run.net(DEPTH, depth=DEEP)
    return mean(
        [
            minus(run.close(net, "constant", sized(size)), run.close(net, "identity", sized(size)))
            for size in (14, 56)
        ]
    )


@measure("c10.smaller")
def c10_smaller(run: Run) -> Sample:
    """The identity's correlation minus the constant's, each of its own network, over sizes."""
    shallow, deep = (run.net(DEPTH, depth=depth) for depth in (SHALLOW, DEEP))
    return mean(
        [
            minus(
                run.close(shallow, "identity", sized(size)),
                run.close(deep, "constant", sized(size)),
            )
            for size in (14, 56, 112)
        ]
    )


@measure("c11.smaller")
def c11_smaller(run: Run) -> Sample:
    """Trained on 7 x 7 pixels against 28 x 28, over the depths that both have."""
    study = "cnn_image_size"
    curves = [
        {
            int(net.rung["depth"]): run.close(net, "constant", ALL_RHO)
            for net in run.some(study, size=size, depth=Between(low=2))
        }
        for size in (7, 28)
    ]
    shared = sorted(set(curves[0]) & set(curves[1]))
    if not shared:
        raise Untestable(f"no depth of {study} counts at both sizes, 7 and 28")
    return mean([minus(curves[0][depth], curves[1][depth]) for depth in shared])


@measure("c12.blur")
def c12_blur(run: Run) -> Sample:
    """The sharpest kernel, the smallest, against the largest that does not cover the image."""
    nets = run.some("cnn_kernel", depth=SHALLOW, kernel=Between(high=2 * 28))
    nets = sorted(nets, key=lambda net: net.rung["kernel"])
    if len(nets) < 2:
        raise Untestable("cnn_kernel has one kernel that does not cover the image")
    return minus(run.evidence(nets[0], "sharpness"), run.evidence(nets[-1], "sharpness"))


@measure("c12.constant")
def c12_constant(run: Run) -> Sample:
    """Of the kernel that covers the whole image from every pixel."""
    return to_constant(run, run.net("cnn_kernel", depth=SHALLOW, kernel=57))


@measure("c13.wide")
def c13_wide(run: Run) -> Sample:
    """1024 channels."""
    return run.close(run.net("cnn_channels", depth=SHALLOW, width=1024), "identity", ALL_RHO)


@measure("c13.narrow")
def c13_narrow(run: Run) -> Sample:
    """3 channels."""
    return run.close(run.net("cnn_channels", depth=SHALLOW, width=3), "identity", ALL_RHO)


@measure("c14.constant")
def c14_constant(run: Run) -> Sample:
    """20 layers of 1024 channels."""
    return to_constant(run, run.net("cnn_channels", depth=DEEP, width=1024))


@measure("c20.less")
def c20_less(run: Run) -> Sample:
    """The lowest three layers of the shallow against those of the deep network."""
    moved = [
        log10(mean([found[layer] for layer in (1, 2, 3)]))
        for depth in (SHALLOW, DEEP)
        for found in [run.layers(run.net(DEPTH, depth=depth), "distance")]
    ]
    return minus(moved[0], moved[1])


@measure("c20.moves")
def c20_moves(run: Run) -> Sample:
    """The layer that moves least."""
    found = run.layers(run.net(DEPTH, depth=DEEP), "distance")
    return log10(least(list(found.values())))


@measure("c20.still")
def c20_still(run: Run) -> Sample:
    """Of the lowest five layers the one that moves most."""
    found = run.layers(run.net("fcn_relu_depth", depth=12), "distance")
    return log10(greatest([found[layer] for layer in range(1, 6)]))


@measure("c21.upper")
def c21_upper(run: Run) -> Sample:
    """The upper half, fed with images."""
    return run.evidence(run.net(DEPTH, depth=DEEP), "upper10")


@measure("c22.artifacts")
def c22_artifacts(run: Run) -> Sample:
    """Error of both Kaiming inits against the default's, shallow."""
    errors = {
        init: log10(run.measured(run.net("cnn_init", init=init, depth=3), "identity", NAMED, "mse"))
        for init in ("pytorch", "kaiming_normal", "kaiming_uniform")
    }
    kaiming = mean([errors["kaiming_normal"], errors["kaiming_uniform"]])
    return minus(kaiming, errors["pytorch"])
