"""What every table of the settings schema is: a frozen object whose class lists its keys, each with type and default.

A table's class is read like a dataclass: `port: int = Field(default=9555, ge=0, description="…")`. Its checks are made
when it is first used (`checks.py`). Some tables are seldom mentioned and seldom read: a key with the mark `Later` knows
where their class is, and imports it when the configuration has the table, or when something reads it.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, get_origin

from llmspell_profiles.schema.checks import Check, Collector, Refusal, check_of

_REQUIRED: Any = object()


class FieldInfo:
    """One key of a table: its type, the marks around it, default, range and meaning.

    `default_factory` makes a default of the table's keys before it; `check_default` says that the default is to be
    checked and changed like a value. `bounds` are `ge`, `gt` and `le` where a number has them.
    """

    __slots__ = (
        "_check",
        "_whole",
        "annotation",
        "bounds",
        "check_default",
        "default",
        "default_factory",
        "description",
        "marks",
        "secret",
    )

    def __init__(
        self,
        default: Any,
        default_factory: Callable[[Mapping[str, Any]], Any] | None,
        check_default: bool,
        description: str,
        secret: bool,
        bounds: Mapping[str, float],
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.check_default = check_default
        self.description = description
        self.secret = secret
        self.bounds = bounds
        self.annotation: Any = None
        self.marks: tuple[Any, ...] = ()
        self._whole: Any = None
        self._check: Check | None = None

    @property
    def required(self) -> bool:
        """Whether it has to be written."""
        return self.default is _REQUIRED and self.default_factory is None

    @property
    def is_later(self) -> bool:
        """Whether it is a table that is made when it is mentioned or read."""
        return any(isinstance(mark, Later) for mark in self.marks)

    def belongs_to(self, annotation: Any) -> None:
        """Gets its type, once the class is made."""
        self._whole = annotation
        self.marks = getattr(annotation, "__metadata__", ())
        self.annotation = annotation.__origin__ if self.marks else annotation

    @property
    def check(self) -> Check:
        """What its values have to pass."""
        if self._check is None:
            self._check = check_of(self._whole, self.bounds)
        return self._check


def Field(
    *,
    default: Any = _REQUIRED,
    default_factory: Callable[[Mapping[str, Any]], Any] | None = None,
    check_default: bool = False,
    description: str,
    secret: bool = False,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> Any:
    """A key of a table; without a default it has to be written. `secret` values are not in a table's `repr`."""
    bounds = {name: limit for name, limit in (("ge", ge), ("gt", gt), ("le", le)) if limit is not None}
    return FieldInfo(default, default_factory, check_default, description, secret, bounds)


T = TypeVar("T", bound="Table")


def rule(method: Callable[[T], None]) -> Callable[[T], None]:
    """Marks a method that looks at several keys of a table that are right by themselves, and raises a `Refusal`."""
    method.is_rule = True  # type: ignore[attr-defined]
    return method


class Table:
    """A table of the configuration. Unknown keys are refused: the loader takes them out first, with a warning.

    `Table.check(data, around)` makes one of plain data; `around` is what its values are relative to (`PathContext`).
    """

    __slots__ = ("__dict__", "_around", "given", "others")

    FIELDS: ClassVar[Mapping[str, FieldInfo]] = {}
    """The keys by name, those of the classes above it first."""

    RULES: ClassVar[tuple[Callable[[Any], None], ...]] = ()
    """What holds between keys, outermost class first."""

    OTHERS: ClassVar[Any] = None
    """The type of keys that aren't listed; None: there are no others."""

    FREE_TABLES: ClassVar[bool] = False
    """Whether the others are tables whose keys only a plug-in knows."""

    @classmethod
    def other_table(cls) -> "type[Table] | None":
        """The class of the tables that the user names, where all of them have the same; None for any other table."""
        return cls.OTHERS if isinstance(cls.OTHERS, type) and issubclass(cls.OTHERS, Table) else None

    NEEDS_TRUST: ClassVar[bool] = False
    """Whether each of its keys counts as marked with `NeedsTrust`."""

    IDLE: ClassVar[frozenset[str]] = frozenset()
    """Inherited keys and tables that nothing reads yet where they belong to this class: as if marked with `Idle`."""

    others: Mapping[str, Any]
    """The keys that aren't listed, with their values."""

    given: frozenset[str]
    """The names of the listed keys that were written."""

    def __init__(self, **values: Any) -> None:
        """The table of these values, which are checked; paths stay relative."""
        self._fill(self._checked(values, None), frozenset(values), None)

    def __init_subclass__(cls) -> None:
        fields = dict(cls.FIELDS)
        # Not `inspect.get_annotations`, whose module is a hundred times as long as this one.
        for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063
            if get_origin(annotation) is ClassVar:
                continue
            field = cls.__dict__[name]
            assert isinstance(field, FieldInfo), f"{cls.__name__}.{name} is not a Field"
            # What is read from an instance is its own value, or one that `__getattr__` makes.
            delattr(cls, name)
            field.belongs_to(annotation)
            fields[name] = field
        cls.FIELDS = fields
        cls.RULES = (*cls.RULES, *(each for each in cls.__dict__.values() if getattr(each, "is_rule", False)))

    @classmethod
    def check(cls, value: object, around: object = None) -> Self:
        """The table of plain data.

        Raises:
            Refusal: it is no table, or keys that are right by themselves don't go together.
            Problems: what is wrong with its keys.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise Refusal("table_type")
        table = cls.__new__(cls)
        table._fill(cls._checked(value, around), frozenset(value), around)
        return table

    @classmethod
    def prepared(cls, data: dict[str, Any]) -> dict[str, Any]:
        """The data before its keys are looked at; for tables that have something to add."""
        return data

    @classmethod
    def _checked(cls, data: dict[str, Any], around: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of the listed keys, and of the others."""
        data = cls.prepared(data)
        collector = Collector()
        values: dict[str, Any] = {}
        for name, field in cls.FIELDS.items():
            if name in data:
                values[name] = collector.checked(name, field.check, data[name], around)
            elif field.required:
                collector.checked(name, _missing, data, around)
            elif not collector.found and not field.is_later:
                # A table in which something is wrong is never read, and a default may depend on that.
                value = field.default_factory(values) if field.default_factory is not None else field.default
                values[name] = collector.checked(name, field.check, value, around) if field.check_default else value
        others = {name: value for name, value in data.items() if name not in cls.FIELDS}
        check_other = _unknown if cls.OTHERS is None else check_of(cls.OTHERS)
        others = {name: collector.checked(name, check_other, value, around) for name, value in others.items()}
        collector.end()
        return values, others

    def _fill(self, checked: tuple[dict[str, Any], dict[str, Any]], given: frozenset[str], around: object) -> None:
        values, others = checked
        self.__dict__.update(values)
        for name, value in (("others", others), ("given", given & self.FIELDS.keys()), ("_around", around)):
            object.__setattr__(self, name, value)
        for one in self.RULES:
            one(self)

    def __getattr__(self, name: str) -> Any:
        # A table with the mark `Later` that was neither mentioned nor read so far.
        field = type(self).FIELDS.get(name)
        later = next((mark for mark in field.marks if isinstance(mark, Later)), None) if field is not None else None
        if later is None:
            raise AttributeError(f"{type(self).__name__} has no '{name}'")
        built = self.__dict__[name] = later.table.check({}, self._around)
        return built

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} can't be set: settings don't change")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.items() if not self._is_secret(name))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_secret(self, name: str) -> bool:
        field = self.FIELDS.get(name)
        return field is not None and field.secret

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values of the listed keys, then of the others; tables as they are."""
        yield from ((name, getattr(self, name)) for name in self.FIELDS)
        yield from self.others.items()

    def as_data(self) -> dict[str, Any]:
        """The whole table with all tables in it as plain maps."""
        return {name: value.as_data() if isinstance(value, Table) else value for name, value in self.items()}

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The same table with other values of some keys, which are taken as they are: neither checked nor changed."""
        copy = type(self).__new__(type(self))
        listed = {name: value for name, value in values.items() if name in self.FIELDS}
        copy.__dict__.update(self.__dict__ | listed)
        others = {**self.others, **{name: value for name, value in values.items() if name not in listed}}
        for name, value in (("others", others), ("given", self.given | listed.keys()), ("_around", self._around)):
            object.__setattr__(copy, name, value)
        return copy


class IdleTable(Table):
    """A table that nothing reads yet: each of its keys counts as marked with `Idle`."""


class FreeTable(Table):
    """A table whose keys only a plug-in knows; all are kept."""

    OTHERS: ClassVar[Any] = Any


def subtable(description: str) -> Any:
    """A field that holds a table; when it is left out, the table with its defaults."""
    return Field(default_factory=lambda _: {}, check_default=True, description=description)


def later_table(description: str) -> Any:
    """The same for a field with the mark `Later`."""
    return Field(default=None, description=description)


class Later(NamedTuple):
    """Marks a field that holds a table whose class is imported only when it is needed."""

    module: str
    name: str

    @property
    def table(self) -> type[Table]:
        """The class."""
        found = getattr(import_module(f"llmspell_profiles.schema.{self.module}"), self.name)
        assert isinstance(found, type)
        assert issubclass(found, Table)
        return found

    def around(self, check: Check) -> Check:
        """The table's own check."""
        return lambda value, context: check(self.table.check(value, context), context)


def _missing(_value: object, _around: object) -> None:
    raise Refusal("missing")


def _unknown(_value: object, _around: object) -> None:
    raise Refusal("unknown")
