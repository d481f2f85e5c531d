"""The recorded surface of the MetaTrader5 package, to hold the simulation against it."""

import json
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).resolve().parents[2].parent / "shared" / "mt5_api.json"
POSITIONAL_ONLY = "positional-only"
KEYWORDS = "METH_VARARGS|METH_KEYWORDS"


def recorded_surface() -> dict[str, Any]:
    """Return what was recorded; skip the test where it is not at hand."""
    if not _FILE.exists():
        pytest.skip(f"the recorded surface of the package is not there: {_FILE.name}")
    content: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return content
