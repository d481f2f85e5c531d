"""Every pair against its limit, at once."""

from risk.core.evaluation.whole import evaluate
from risk.core.results import TOLERANCE, Evaluation, with_latches

__all__ = ["TOLERANCE", "Evaluation", "evaluate", "with_latches"]
