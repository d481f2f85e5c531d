"""The constants against the Python file of the pinned Windows wheel, where pip can fetch it."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated.constants import CONSTANTS
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_FETCH = 15


def pinned_version() -> str:
    pinned = re.search(
        r"^MetaTrader5==([\w.]+)", (ROOT / "requirements.in").read_text(encoding="utf-8"), re.M
    )
    assert pinned is not None, "requirements.in pins no MetaTrader5"
    return pinned[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ast.Module:
    """Read the wheel's ``__init__.py``, which cannot be imported but on Windows."""
    folder = tmp_path_factory.mktemp("wheel")
    # No retries: a machine without a network is to skip within seconds.
    fetch = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-input", "--no-deps", "--only-binary=:all:", "--platform", "win_amd64",
        "--python-version", "3.11", "--implementation", "cp", "--retries", "0", "--timeout", "3",
        "--no-cache-dir", "--dest", str(folder), f"MetaTrader5=={pinned_version()}",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 (fixed arguments)
            fetch, capture_output=True, text=True, timeout=SECONDS_TO_FETCH, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip did not fetch the wheel within {SECONDS_TO_FETCH} seconds")
    if done.returncode:
        reasons = done.stderr.strip().splitlines() or ["it gives no reason"]
        pytest.skip(f"pip cannot fetch the wheel: {reasons[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return ast.parse(archive.read("MetaTrader5/__init__.py"))


def assigned(package: ast.Module) -> dict[str, Any]:
    """Return what the file assigns at its top level."""
    values: dict[str, Any] = {}
    for statement in package.body:
        if isinstance(statement, ast.Assign):
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            values[target.id] = value_of(statement.value, values)
    return values


def value_of(expression: ast.expr, known: dict[str, Any]) -> Any:
    """Work out a constant, a name of one, or two of them joined by ``|``: the file has no more."""
    if isinstance(expression, ast.Name):
        return known[expression.id]
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.BitOr):
        return value_of(expression.left, known) | value_of(expression.right, known)
    return ast.literal_eval(expression)


def test_it_has_the_constants_of_the_wheel_and_no_others(package: ast.Module) -> None:
    values = {name: value for name, value in assigned(package).items() if name[0] != "_"}
    assert values == CONSTANTS
    assert len(values) > 200


def test_it_says_the_version_of_the_wheel(package: ast.Module) -> None:
    values = assigned(package)
    assert SimulatedMetaTrader5.__version__ == values["__version__"] == pinned_version()
    assert SimulatedMetaTrader5.__author__ == values["__author__"]


def test_its_helpers_take_the_arguments_of_the_wheels(package: ast.Module) -> None:
    functions = [part for part in package.body if isinstance(part, ast.FunctionDef)]
    assert {function.name for function in functions} == {"Buy", "Sell", "Close", "_RawOrder"}
    for function in functions:
        ours = getattr(SimulatedMetaTrader5, function.name)
        names = [part.arg for part in (*function.args.args, *function.args.kwonlyargs)]
        assert list(ours.__code__.co_varnames[1 : 1 + len(names)]) == names
        assert ours.__code__.co_kwonlyargcount == len(function.args.kwonlyargs)
