"""Types of values in an experiment file, and what messages and other uses need to know of a field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from manyseeds.core.loggers import LOGGERS
from manyseeds.core.simulators import SIMULATORS

T = TypeVar("T")


@dataclass(frozen=True)
class Allowed:
    """What messages say is allowed, where type and range do not say it."""

    text: str


@dataclass(frozen=True)
class Marker:
    """A mark of a field."""

    name: str


NO_IDENTITY = Marker("no identity")
"""The field changes no result of a run."""
FLAG = Marker("flag")
"""The field is a flag of `manyseeds train`."""


class Model(BaseModel):
    """A mapping with these keys and no others; values keep their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None
    """The key that a bare text stands for."""

    @model_validator(mode="before")
    @classmethod
    def _longhand(cls, value: Any) -> Any:
        return {cls.shorthand: value} if cls.shorthand and isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        return {"anyOf": [{"type": "string"}, schema]} if cls.shorthand else schema

    def identity(self) -> dict[str, Any]:
        """Return the fields that determine a result, as JSON values."""
        found = {
            name: value.identity() if isinstance(value := getattr(self, name), Model) else value
            for name, field in type(self).model_fields.items()
            if NO_IDENTITY not in field.metadata
        }
        return {name: value for name, value in found.items() if value is not None}


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unique(items: tuple[T, ...]) -> tuple[T, ...]:
    """Return items of which none appears twice."""
    seen: set[T] = set()
    for item in items:
        if item in seen:
            raise PydanticCustomError("repeated", "{item}", {"item": item})
        seen.add(item)
    return items


def as_tuple(value: Any) -> Any:
    """Return a list, which YAML gives, as a tuple."""
    return tuple(value) if isinstance(value, list) else value


WHOLE = BeforeValidator(_whole)
"""The last metadata of a whole number, for which 1e3 is one. Limits after it would not get into the JSON schema."""
Count = Annotated[int, Ge(1), WHOLE]
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[Number, Gt(0)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"), Allowed("a name of letters, digits, '_', '.' and '-'")
]
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,60}$"), Allowed("one line of at most 60 characters")]
Seed = Annotated[int, Ge(0), Le(2**31 - 1), WHOLE]
"""Fits all that take a seed; Isaac Lab and NumPy take no larger one."""
Unique = (
    BeforeValidator(as_tuple),
    Field(min_length=1, json_schema_extra={"minItems": 1, "uniqueItems": True}),
    AfterValidator(unique),
)
"""Metadata of a tuple that is written as a list of at least one item, each once."""
SeedSet = Annotated[
    tuple[Seed, ...],
    BeforeValidator(as_tuple),
    Field(json_schema_extra={"uniqueItems": True}),
    AfterValidator(unique),
    Allowed("a list of seeds, each once"),
]
"""Seeds, possibly none."""
IMAGE = "a .sif file, a sandbox folder or a registry address (docker://...), without spaces"
# Snakemake gives the name of an image to a shell as it is.
Image = Annotated[
    str,
    Field(
        pattern=r"^((docker|oras|library|shub|https?)://[A-Za-z0-9][A-Za-z0-9_./:@%+-]*|[A-Za-z0-9_./~+-]+)$",
    ),
    Allowed(IMAGE),
]

_environments = tuple(dict.fromkeys(simulator.environment for simulator in SIMULATORS.values()))
if TYPE_CHECKING:
    LoggerName = str
    SimulatorName = str
    SimulatorEnvironment = str
    Environment = str
else:
    LoggerName = Literal[*LOGGERS]
    SimulatorName = Literal["auto", *SIMULATORS]
    SimulatorEnvironment = Literal[*_environments]
    Environment = Literal[*_environments, "analysis"]


def default_images(images: dict[str, str]) -> dict[str, str]:
    """Return the images of all environments; `docker/build_sif.sh` makes those that are not named."""
    return {name: f"images/{name}.sif" for name in (*_environments, "analysis")} | images


def environments(*more: str) -> Sequence[str]:
    """Return the names of the environments that hold simulators, and `more`."""
    return (*_environments, *more)
