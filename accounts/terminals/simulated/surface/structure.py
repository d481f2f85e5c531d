"""A tuple with named fields that behaves as the result tuples of the MetaTrader5 package do.

The package builds them in C as struct sequences, which differ from ``collections.namedtuple`` in
what callers can see: one sequence to construct, no ``_fields``, ``_replace`` or ``_make``, a bare
name in ``builtins``, and no pickling.
"""

import inspect
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, ClassVar, Self


class StructSequence(tuple[Any, ...]):
    """Turn the annotations of a subclass, in their order, into the fields of a read-only row."""

    __slots__ = ()

    n_fields: ClassVar[int] = 0
    n_sequence_fields: ClassVar[int] = 0
    n_unnamed_fields: ClassVar[int] = 0
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        names = tuple(inspect.get_annotations(cls))
        attributes: dict[str, Any] = {
            name: property(itemgetter(position)) for position, name in enumerate(names)
        }
        attributes |= {
            "__match_args__": names,
            "n_fields": len(names),
            "n_sequence_fields": len(names),
            "__module__": "builtins",  # pickle looks there, in vain, as for the package's own
        }
        for name, value in attributes.items():
            setattr(cls, name, value)

    def __new__(cls, sequence: Iterable[Any], /) -> Self:
        try:
            row = tuple.__new__(cls, sequence)
        except TypeError:
            raise TypeError("constructor requires a sequence") from None
        if len(row) != cls.n_fields:
            raise TypeError(
                f"{cls.__name__}() takes a {cls.n_fields}-sequence ({len(row)}-sequence given)"
            )
        return row

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Any, ...]]]:
        return type(self), (tuple(self),)

    def __repr__(self) -> str:
        fields = zip(self.__match_args__, self, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self.__match_args__, self, strict=True))
