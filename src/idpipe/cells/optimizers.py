"""Settings of optimizers and of the learning rate's schedule (Appendices A and I)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from idpipe.cells.specs import AtLeastZero, Bool, Decay, Factor, Rate, Share, Spec


class SGD(Spec):
    """Momentum SGD, the paper's default (Appendix A)."""

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


class Adagrad(Spec):
    """Adagrad at the paper's rate (Appendix I)."""

    name: Literal["adagrad"] = Field("adagrad", description="Adagrad")
    lr: Rate = Field(0.001, description="base learning rate")
    eps: Rate = Field(1e-10, description="added to the denominator")


class RMSprop(Spec):
    """RMSprop at the paper's rate (Appendix I)."""

    name: Literal["rmsprop"] = Field("rmsprop", description="RMSprop")
    lr: Rate = Field(0.0001, description="base learning rate")
    alpha: Decay = Field(0.99, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")
    momentum: Decay = Field(0.0, description="momentum")


class Adam(Spec):
    """Adam at the paper's rate (Appendix I)."""

    name: Literal["adam"] = Field("adam", description="Adam")
    lr: Rate = Field(0.0001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the squared-gradient average")
    eps: Rate = Field(1e-8, description="added to the denominator")


class Adamax(Spec):
    """Adamax at the paper's rate (Appendix I)."""

    name: Literal["adamax"] = Field("adamax", description="Adamax")
    lr: Rate = Field(0.001, description="base learning rate")
    beta1: Decay = Field(0.9, description="decay of the gradient average")
    beta2: Decay = Field(0.999, description="decay of the infinity norm")
    eps: Rate = Field(1e-8, description="added to the denominator")


Optimizer = Annotated[SGD | Adagrad | RMSprop | Adam | Adamax, Field(discriminator="name")]


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
