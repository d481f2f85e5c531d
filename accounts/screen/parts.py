"""Parts and cells: the two grains in which a page changes.

A part is a fragment with one root element; it is rendered again when its `key` changes. A cell is a
marked element inside of a part whose text, status or bar changes many times a second; it travels as
`[id, text, status, value]`, shortened from the right, with a list for several texts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string

Patch = list[Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` is the filled share of the cell's bar in percent, None when the bar is not known."""

    id: str
    texts: tuple[str, ...] = ()
    status: str | None = None
    value: float | None = None
    has_bar: bool = False

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else ""

    def patch(self) -> Patch:
        text: Any = self.texts[0] if len(self.texts) == 1 else list(self.texts)
        if self.has_bar:
            return [self.id, text, self.status, self.value]
        return [self.id, text] if self.status is None else [self.id, text, self.status]


@dataclass(frozen=True, slots=True)
class Part:
    """A fragment of the page: `template` renders it, with its root element's id = `id`."""

    id: str
    template: str
    key: str
    context: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()

    def render(self, *, out_of_band: bool = False) -> str:
        return render_to_string(self.template, {**self.context, "part": self, "oob": out_of_band})


def short(identifier: object) -> str:
    """Return the start of a UUID: enough to tell the rows of one page apart."""
    return str(identifier)[:8]


def cells_of(items: Iterable[Any]) -> tuple[Cell, ...]:
    """Collect the cells out of values, rows and nested sequences."""
    found: list[Cell] = []
    for item in items:
        if isinstance(item, Cell):
            found.append(item)
        elif isinstance(item, Mapping):
            found.extend(cells_of(item.values()))
        elif isinstance(item, tuple | list):
            found.extend(cells_of(item))
    return tuple(found)


class Screen:
    """What one viewer has on the screen, so that only differences are sent.

    `structures` are the keys of the parts that the page already holds, as it says on connecting.
    """

    def __init__(self, structures: Mapping[str, str] | None = None) -> None:
        self._keys = dict(structures or {})
        self._cells: dict[str, Patch] = {}

    def update(self, parts: Iterable[Part], cells: Iterable[Cell] = ()) -> tuple[str, list[Patch]]:
        """Return the fragments and the patches that bring this viewer up to date.

        `cells` are those that lie in none of the parts.
        """
        fragments, patches = [], []
        for part in parts:
            if self._keys.get(part.id) != part.key:
                self._keys[part.id] = part.key
                fragments.append(part.render(out_of_band=True))
                self._cells.update({cell.id: cell.patch() for cell in part.cells})
                continue
            patches += self._differing(part.cells)
        return "".join(fragments), [*patches, *self._differing(cells)]

    def _differing(self, cells: Iterable[Cell]) -> list[Patch]:
        patches = []
        for cell in cells:
            patch = cell.patch()
            if self._cells.get(cell.id) != patch:
                self._cells[cell.id] = patch
                patches.append(patch)
        return patches
