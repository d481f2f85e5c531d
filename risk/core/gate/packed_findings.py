"""Findings as one value, and back; what is alike between orders takes next to no room."""

import zlib
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, Final
from uuid import UUID

import msgpack
import numpy as np
import numpy.typing as npt

from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.findings import Findings, Kind
from risk.core.gate.told import Facts
from risk.core.gate.verdicts import VERDICTS
from risk.core.rule_types import RuleType

_VERSION: Final = 1
_FAST: Final = 1
_COLUMNS: Final = {
    "kind": "<i1",
    "verdict": "<i1",
    "rule": "<i2",
    "found": "<i2",
    "value": "<f8",
    "limit": "<f8",
    "allowed": "<f8",
}
# Numbers of checks and verdicts are this program's own; their names stay what they are.
_VERDICTS: Final = [verdict.value for verdict in VERDICTS]


def pack(findings: Findings) -> bytes:
    told = {
        "version": _VERSION,
        "orders": b"".join(order_id.bytes for order_id in findings.order_ids),
        "starts": findings.starts,
        "facts": [astuple(facts) for facts in findings.facts],
        "fact": findings.fact,
        "asked": findings.asked,
        "sent": findings.sent,
        "kinds": [_name(kind) for kind in findings.kinds],
        "verdicts": _VERDICTS,
        "rules": [(rule_id.bytes, name) for rule_id, name in findings.rules],
        "columns": {
            name: getattr(findings, name).astype(layout).tobytes()
            for name, layout in _COLUMNS.items()
        },
        "largest": findings.largest,
        "faults": findings.faults,
        "minutes": findings.minutes,
        "is_preview": findings.is_preview,
    }
    return zlib.compress(bytes(msgpack.packb(told)), _FAST)


def unpack(packed: bytes) -> Findings:
    """Read what `pack` has made; raises ValueError for anything else."""
    try:
        told = msgpack.unpackb(zlib.decompress(packed), strict_map_key=False)
        version = told["version"]
        if version == _VERSION:
            return _findings(told)
    except (zlib.error, msgpack.UnpackException, LookupError, TypeError, ValueError) as error:
        raise ValueError("These are no findings.") from error
    raise ValueError(f"These are findings of version {version}.")


def _findings(told: Mapping[str, Any]) -> Findings:
    ids = told["orders"]
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.frombuffer(told["columns"][name], layout) for name, layout in _COLUMNS.items()
    }
    codes = np.array([_VERDICTS.index(name) for name in told["verdicts"]], dtype=np.int8)
    return Findings(
        order_ids=tuple(UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16)),
        starts=tuple(told["starts"]),
        facts=tuple(Facts(*facts) for facts in told["facts"]),
        fact=tuple(told["fact"]),
        asked=tuple(told["asked"]),
        sent=tuple(told["sent"]),
        kinds=tuple(_KINDS[name] for name in told["kinds"]),
        rules=tuple((UUID(bytes=rule_id), name) for rule_id, name in told["rules"]),
        **{**columns, "verdict": codes[columns["verdict"]]},
        largest=told["largest"],
        faults=told["faults"],
        minutes=told["minutes"],
        is_preview=told["is_preview"],
    )


def _name(kind: Kind) -> str:
    return kind.text if isinstance(kind, AccountCheck) else kind.value


_KINDS: Final[Mapping[str, Kind]] = {_name(kind): kind for kind in (*AccountCheck, *RuleType)}
