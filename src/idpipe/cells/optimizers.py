"""Settings of optimizers and of the learning rate's schedule (Appendices A and I)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from idpipe.cells.specs import (
    AtLeastZero,
    Bool,
    Decay,
    Factor,
    Kind,
    Rate,
    Share,
    Spec,
    kinds,
)


class OptimizerSpec(Kind):
    """What costs, figures and tables ask of an optimizer."""

    keys = ("name", "lr")

    title: ClassVar[str]
    """What figures call it."""
    states: ClassVar[int]
    """Numbers that it remembers for one number of the parameters."""
    update_flops: ClassVar[int]
    """Operations on one number of the parameters in one step, a square root or quotient as one."""
    update_passes: ClassVar[int]
    """How often one step's update reads or writes memory of the parameters' size."""
    divides: ClassVar[bool]
    """Whether it divides a gradient by its size, so that a rounding error would make a whole step:
    convolutions are then computed so that sums of zeros are zero."""
    speed: ClassVar[float | None]
    """How many times as fast as momentum SGD at the same base rate; None: not known, so that its
    cells are priced at their whole budgets."""


class SGD(OptimizerSpec):
    """Momentum SGD, the paper's default (Appendix A)."""

    title = "SGD"
    states = 1
    update_flops = 4
    update_passes = 5
    divides = False
    speed = 1.0

    name: Literal["sgd"] = Field("sgd", description="momentum SGD")
    lr: Rate = Field(0.01, description="base learning rate")
    momentum: Decay = Field(0.9, description="momentum")
    nesterov: Bool = Field(False, description="Nesterov's form")
    weight_decay: AtLeastZero = Field(0.0, description="L2 penalty")

    @model_validator(mode="after")
    def _check(self) -> SGD:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: must be false where momentum is 0")
        return self


class Adagrad(OptimizerSpec):
    """Adagrad at the paper's rate (Appendix I)."""

    title = "Adagrad"
    states = 1
    update_flops = 7
    update_passes = 11
    divides = True
    speed = 3.0

    name: Literal["adagrad"] = Field("adagrad", description="Adagrad")
    lr: Rate = Field(0.001, description="base learning rate")
    eps: Rate = Field(1e-10, description="added to the denominator")


class RMSprop(OptimizerSpec):
    """RMSprop at the paper's rate (Appendix I)."""

    title = "RMSprop"
    states = 2
    update_flops = 8
    update_passes = 13
    divides = True
    speed = 50.0

    name: Literal["rmsprop"] = Field("rmsprop", description="RMSprop")
    lr: Rate = Field(0.0001, description="base learning rate")
    alpha: Decay = Field(0.99, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")
    momentum: Decay = Field(0.0, description="momentum")


class Adam(OptimizerSpec):
    """Adam at the paper's rate (Appendix I)."""

    title = "Adam"
    states = 2
    update_flops = 14
    update_passes = 7
    divides = True
    speed = 50.0

    name: Literal["adam"] = Field("adam", description="Adam")
    lr: Rate = Field(0.0001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")


class Adamax(OptimizerSpec):
    """Adamax at the paper's rate (Appendix I)."""

    title = "Adamax"
    states = 2
    update_flops = 10
    update_passes = 16
    divides = True
    speed = 10.0

    name: Literal["adamax"] = Field("adamax", description="Adamax")
    lr: Rate = Field(0.001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the infinity norm")
    eps: Rate = Field(1e-8, description="added to the denominator")


Optimizer = Annotated[SGD | Adagrad | RMSprop | Adam | Adamax, Field(discriminator="name")]
OPTIMIZERS: dict[str, type[OptimizerSpec]] = kinds(Optimizer)
"""Name -> its class."""


class Schedule(Spec):
    """Stagewise constant learning rate over the budget `max_steps` (Appendix A)."""

    factor: Factor = Field(0.2, description="the rate is multiplied by this at each milestone")
    milestones: tuple[Share, ...] = Field(
        (0.3, 0.6, 0.8), description="shares of the budget at which it decays"
    )

    @model_validator(mode="after")
    def _check(self) -> Schedule:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones: must rise, each only once")
        return self
