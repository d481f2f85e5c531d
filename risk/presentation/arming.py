"""The rows in which people look at rules before they arm them."""

from collections.abc import Iterable
from dataclasses import dataclass

from risk.services.arming import ArmingView

_ACTIONS = {
    "REDUCE_SIZE": "reduces the size",
    "CLOSE_POSITION": "closes the offending positions",
    "CLOSE_ALL": "closes everything and locks",
}


@dataclass(frozen=True, slots=True)
class ArmingRow:
    key: str
    view: ArmingView
    action: str
    tone: str

    @property
    def is_armed(self) -> bool:
        return self.view.is_armed


def arming_rows(views: Iterable[ArmingView]) -> list[ArmingRow]:
    """Return the rows, those first that wait to be armed, and of them the violated ones."""
    rows = [
        ArmingRow(
            key=f"{view.rule.pk}:{view.account.pk}",
            view=view,
            action=_ACTIONS.get(view.rule.action, ""),
            tone="violated" if view.is_violated else "safe" if view.is_armed else "none",
        )
        for view in views
    ]
    return sorted(
        rows,
        key=lambda row: (
            row.is_armed,
            not row.view.is_violated,
            row.view.rule.name,
            row.view.account.name,
        ),
    )
