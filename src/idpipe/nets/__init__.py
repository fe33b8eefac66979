"""Networks: how they start, what they compute, and in which numbers."""

from idpipe.nets.architectures import (
    forward,
    forward_and_dead,
    gradient_buffers,
    identity_params,
    layers,
)
from idpipe.nets.inits import INITS, initial_params, initial_weights, param_shapes, trainable
from idpipe.nets.numerics import DTYPES, Params, choose_device, placed, set_numerics

__all__ = [
    "DTYPES",
    "INITS",
    "Params",
    "choose_device",
    "forward",
    "forward_and_dead",
    "gradient_buffers",
    "identity_params",
    "initial_params",
    "initial_weights",
    "layers",
    "param_shapes",
    "placed",
    "set_numerics",
    "trainable",
]
