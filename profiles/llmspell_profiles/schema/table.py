"""What every table of the settings schema is: a frozen pydantic model that takes TOML's types as they are.

Some tables are seldom mentioned and seldom read: a field with the mark `Later` knows where their class is, and imports
and builds it when the configuration has the table, or when something reads it.
"""

from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema


class Table(BaseModel):
    """A table of the configuration. Unknown keys are refused: the loader takes them out first, with a warning."""

    # The whole tree is built once, when the outermost table validates; each class by itself would cost start-up.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    OTHERS: ClassVar[bool] = False
    """Whether it accepts further tables, whose keys only a plug-in knows."""

    IDLE: ClassVar[frozenset[str]] = frozenset()
    """Inherited keys and tables that nothing reads yet where they belong to this class: as if marked with `Idle`."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, field in cls.model_fields.items():
            if any(isinstance(mark, Later) for mark in field.metadata):
                setattr(cls, name, _BuiltWhenRead(name))


class IdleTable(Table):
    """A table that nothing reads yet: each of its keys counts as marked with `Idle`."""


class FreeTable(Table):
    """A table whose keys only a plug-in knows; all are kept."""

    model_config = ConfigDict(extra="allow")


def subtable(description: str) -> Any:
    """A field that holds a table; when it is left out, the table with its defaults."""
    return Field(default_factory=dict, validate_default=True, description=description)


def later_table(description: str) -> Any:
    """The same for a field with the mark `Later`."""
    return Field(default=None, validate_default=True, description=description)


class Later(NamedTuple):
    """Marks a field that holds a table whose class is imported only when it is needed."""

    module: str
    name: str

    @property
    def table(self) -> type[Table]:
        found = getattr(import_module(f"llmspell_profiles.schema.{self.module}"), self.name)
        assert isinstance(found, type)
        assert issubclass(found, Table)
        return found

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validated, serialization=core_schema.plain_serializer_function_ser_schema(_dumped)
        )

    def _validated(self, value: object, info: core_schema.ValidationInfo) -> object:
        return _Unbuilt(self, info.context) if value is None else self.table.model_validate(value, context=info.context)


class _Unbuilt(NamedTuple):
    """Stands for a table with its defaults, which depend on the context that it was left out in."""

    later: Later
    context: object

    def built(self) -> Table:
        return self.later.table.model_validate({}, context=self.context)


class _BuiltWhenRead:
    """Goes before the instance's own attribute of that name, and puts the built table there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Table | None, owner: type[Table]) -> Any:
        if instance is None:
            raise AttributeError(self._name)
        value = instance.__dict__[self._name]
        if isinstance(value, _Unbuilt):
            value = instance.__dict__[self._name] = value.built()
        return value

    def __set__(self, instance: Table, value: object) -> None:
        raise AttributeError(f"{self._name} can't be set")


def _dumped(value: Any) -> dict[str, Any]:
    table: Table = value.built() if isinstance(value, _Unbuilt) else value
    return table.model_dump()
