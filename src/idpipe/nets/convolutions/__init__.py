"""Convolutions of all replicates at once, each in the formulation that is fastest for its shape."""

from idpipe.nets.convolutions.dispatch import (
    FORMULATIONS,
    Shape,
    candidates,
    convolve,
    direct,
    formulations,
    plain,
    rule,
)
from idpipe.nets.convolutions.winograd import matrices

__all__ = [
    "FORMULATIONS",
    "Shape",
    "candidates",
    "convolve",
    "direct",
    "formulations",
    "matrices",
    "plain",
    "rule",
]
