"""The gate with its inputs: from the host's newest view, or from the hot state on the web."""

from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.gate.changes import decide_change
from risk.gate.deciding import check_rows, decide_orders
from risk.gate.host_book import View
from risk.gate.previewing import preview_order

__all__ = [
    "Check",
    "GateDecision",
    "Verdict",
    "View",
    "check_rows",
    "decide_change",
    "decide_orders",
    "preview_order",
]
