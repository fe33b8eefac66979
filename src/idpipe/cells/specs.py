"""What settings are made of: the base of every spec, and its plain, bounded types.

Neither torch nor numpy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict


def not_bool(value: object) -> object:
    """The value; ValueError where it is true or false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _one_zero(value: object) -> object:
    """0.0 and -0.0 are equal, so they must not make two cell ids."""
    return 0.0 if isinstance(not_bool(value), float) and value == 0 else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be an odd whole number, so that the kernel has a centre pixel")
    return value


@dataclass(frozen=True)
class Says:
    """What a setting allows, in words, where its type does not say it; part of an annotation."""

    text: str


@dataclass(frozen=True)
class Unit:
    """What a setting counts or is measured in; part of an annotation."""

    text: str


FILLED_IN = Says("left out; idpipe fills it in")

# Bounds far above any use, so that a slip of the keyboard is refused before it is computed with.
MOST = 10**9
Positive = Annotated[int, Strict(), Field(ge=1, le=MOST)]
NonNegative = Annotated[int, Strict(), Field(ge=0, le=MOST)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63), Says("a whole number from 0 to 2^63 - 1")]
Depth = Annotated[int, Strict(), Field(ge=1, le=10_000), Unit("layers")]
Odd = Annotated[
    int,
    Strict(),
    Field(ge=1, le=MOST, json_schema_extra={"not": {"multipleOf": 2}}),
    AfterValidator(_odd),
    Says(f"an odd whole number from 1 to {MOST - 1:,}"),
    Unit("pixels"),
]
Bool = Annotated[bool, Strict()]
# YAML reads 1e-4 (no dot) as text; a number written as text is taken as the number. Bounds stand
# before the validator: only then does pydantic write them into the JSON schema.
ONE_ZERO = BeforeValidator(_one_zero)
Number = Annotated[float, Field(allow_inf_nan=False), ONE_ZERO]
AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False), ONE_ZERO]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False), ONE_ZERO]
Factor = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), ONE_ZERO]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), ONE_ZERO]
Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), ONE_ZERO]


class Spec(BaseModel):
    """Frozen, plain-typed settings; a key that is not a field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(Spec):
    """One of the kinds of a setting, such as an optimizer.

    The base of such kinds says in class variables and abstract methods what the rest of idpipe asks
    of each, and in `keys` which settings it must have. A kind that leaves one out is a TypeError
    where it is defined.
    """

    keys: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Refuse a kind that leaves something out."""
        if not cls.model_fields:
            return  # a base of kinds
        facts = sorted(name for name in cls.__class_vars__ if not hasattr(cls, name))
        missing = [*facts, *sorted(cls.__abstractmethods__)]
        missing += [f"the key {key}" for key in cls.keys if key not in cls.model_fields]
        if missing:
            base = cls.__mro__[1].__name__
            raise TypeError(f"{cls.__name__} must declare {', '.join(missing)} (see {base})")


def every_one_of(registry: str, entries: Mapping[str, object], names: Iterable[str]) -> None:
    """Raise TypeError where a registry lacks one of the names, or has another."""
    asked = set(names)
    if lacking := sorted(asked - entries.keys()):
        raise TypeError(f"{registry} lacks {', '.join(lacking)}")
    if other := sorted(entries.keys() - asked):
        raise TypeError(f"{registry} has {', '.join(other)}, which no setting names")


def kinds(union: Any) -> dict[str, Any]:
    """Tag value -> class of a discriminated union such as `Net` or `Optimizer`."""
    union_type, info = get_args(union)[:2]
    tag = info.discriminator
    return {get_args(k.model_fields[tag].annotation)[0]: k for k in get_args(union_type)}
