from copytrade.models.batch import CopyBatch
from copytrade.models.ledger import CopyEvent, CopyOrder, CopyPosition
from copytrade.models.relationship import CopyRelationship
from copytrade.models.requests import CopyRequest

__all__ = [
    "CopyBatch",
    "CopyEvent",
    "CopyOrder",
    "CopyPosition",
    "CopyRelationship",
    "CopyRequest",
]
