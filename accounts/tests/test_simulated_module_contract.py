"""The simulated module held against the recorded surface of the MetaTrader5 package."""

import inspect
from typing import Any, get_type_hints

import numpy as np
import pytest

from accounts.terminals.simulated import constants
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE, TICKS_DTYPE
from accounts.terminals.simulated.surface import tuples
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.surface.structure import StructSequence
from accounts.tests.recorded_surface import KEYWORDS, POSITIONAL_ONLY, recorded_surface


class SilentLink:
    """A terminal behind which nothing exists."""

    def call(self, method: str, *arguments: Any) -> Any:
        return None


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return recorded_surface()


@pytest.fixture
def module() -> SimulatedMetaTrader5:
    terminal = SimulatedMetaTrader5(SilentLink())
    assert terminal.initialize("x", login=1, password="p", server="s")
    return terminal


def kinds() -> dict[str, type[StructSequence]]:
    return {kind.__name__: kind for kind in tuples.RESULT_TUPLES}


def test_it_has_every_constant_and_no_other(api: dict[str, Any]) -> None:
    assert api["constants"] == constants.CONSTANTS
    for name, value in api["constants"].items():
        assert getattr(SimulatedMetaTrader5, name) == value
        assert type(getattr(SimulatedMetaTrader5, name)) is int


def test_it_names_the_constants_that_only_mql5_has(api: dict[str, Any]) -> None:
    for name, value in api["mql5_only_constants_not_in_python"].items():
        assert getattr(constants, name) == value
        assert not hasattr(SimulatedMetaTrader5, name)


def test_it_carries_the_attributes_of_the_package(api: dict[str, Any]) -> None:
    for name, value in api["python_only_attributes"].items():
        assert getattr(SimulatedMetaTrader5, name) == value


def test_it_has_every_result_tuple_with_its_fields_in_order(api: dict[str, Any]) -> None:
    assert {name: list(kind.__match_args__) for name, kind in kinds().items()} == api["tuples"]


def test_the_fields_have_the_types_of_the_package(api: dict[str, Any]) -> None:
    for name, fields in api["tuple_types"].items():
        hints = get_type_hints(kinds()[name], vars(tuples))
        declared = {field: hints[field].__name__ for field in fields}
        assert declared == {field: text.split(" ")[0] for field, text in fields.items()}


def test_the_tuples_have_what_struct_sequences_have_and_no_more(api: dict[str, Any]) -> None:
    facts = api["tuple_class_facts"]
    for name, kind in kinds().items():
        width = len(api["tuples"][name])
        row = kind(range(width))
        assert kind.__module__ == facts["module"]
        assert (kind.n_fields, kind.n_sequence_fields, kind.n_unnamed_fields) == (width, width, 0)
        assert repr(row).startswith(f"{name}(")
        assert list(row._asdict()) == api["tuples"][name]
        for absent in facts["has_not"]:
            assert not hasattr(row, absent)
        assert not hasattr(row, "__dict__")


def test_it_has_every_function_and_no_other(api: dict[str, Any]) -> None:
    public = {
        name
        for name, member in inspect.getmembers(SimulatedMetaTrader5, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public | {"_RawOrder"} == set(api["functions"])


def test_functions_without_arguments_take_none(
    api: dict[str, Any], module: SimulatedMetaTrader5
) -> None:
    names = [name for name, fact in api["functions"].items() if fact["calling"] == "METH_NOARGS"]
    assert names
    for name in names:
        with pytest.raises(TypeError):
            getattr(module, name)(1)
        with pytest.raises(TypeError):
            getattr(module, name)(symbol="EURUSD")


def test_positional_only_functions_take_no_keywords(
    api: dict[str, Any], module: SimulatedMetaTrader5
) -> None:
    names = [
        name
        for name, fact in api["functions"].items()
        if fact["calling"].startswith(POSITIONAL_ONLY)
    ]
    assert names
    for name in names:
        with pytest.raises(TypeError):
            getattr(module, name)(symbol="EURUSD")
        assert getattr(module, name)() in (None, False)
        assert module.last_error() == (-2, "Invalid arguments")


def test_functions_with_keywords_refuse_by_last_error(
    api: dict[str, Any], module: SimulatedMetaTrader5
) -> None:
    names = [name for name, fact in api["functions"].items() if fact["calling"] == KEYWORDS]
    assert names
    for name in names:
        assert getattr(module, name)(*[object()] * 4) in (None, False)
        code, text = module.last_error()
        assert code == -2
        assert text in ("Unnamed arguments not allowed", "Invalid number of arguments")


def test_the_python_helpers_take_the_arguments_of_the_package(api: dict[str, Any]) -> None:
    names = [name for name, fact in api["functions"].items() if fact["calling"] == "python"]
    assert names
    for name in names:
        parameters = list(
            inspect.signature(getattr(SimulatedMetaTrader5, name)).parameters.values()
        )
        shown = inspect.Signature(
            [parameter.replace(annotation=parameter.empty) for parameter in parameters[1:]]
        )
        assert f"{name}{shown}" == api["functions"][name]["signature"]


def test_the_arrays_have_the_layout_of_the_package(api: dict[str, Any]) -> None:
    for recorded, dtype in (
        (api["numpy"]["rates_dtype"], RATES_DTYPE),
        (api["numpy"]["ticks_dtype"], TICKS_DTYPE),
    ):
        fields = dtype.fields
        assert fields is not None
        assert [[name, fields[name][0].str, fields[name][1]] for name in dtype.names or ()] == (
            recorded
        )
        assert dtype.itemsize == api["numpy"]["itemsize"]


def test_the_arrays_of_the_functions_have_that_layout() -> None:
    class EmptyLink(SilentLink):
        def call(self, method: str, *arguments: Any) -> Any:
            return {"rates": np.zeros(0, RATES_DTYPE), "ticks": np.zeros(0, TICKS_DTYPE)}.get(
                method
            )

    terminal = SimulatedMetaTrader5(EmptyLink())
    terminal.initialize("x", login=1, password="p", server="s")
    for bars in (
        terminal.copy_rates_from("EURUSD", 1, 0, 1),
        terminal.copy_rates_from_pos("EURUSD", 1, 0, 1),
        terminal.copy_rates_range("EURUSD", 1, 0, 1),
    ):
        assert bars is not None
        assert bars.dtype == RATES_DTYPE
    for ticks in (
        terminal.copy_ticks_from("EURUSD", 0, 1, -1),
        terminal.copy_ticks_range("EURUSD", 0, 1, -1),
    ):
        assert ticks is not None
        assert ticks.dtype == TICKS_DTYPE


def test_the_error_texts_are_those_of_the_package(api: dict[str, Any]) -> None:
    texts = api["last_error_texts"]
    terminal = SimulatedMetaTrader5(SilentLink())
    assert terminal.last_error() == (1, texts["1"])
    terminal.account_info()
    assert terminal.last_error() == (-10004, texts["-10004"])
    terminal.initialize("x")
    assert terminal.last_error() == (-6, texts["-6"])
    terminal.initialize("x", login=1, password="p", server="s")
    terminal.account_info()
    assert terminal.last_error() == (-1, texts["-1"])
    terminal.symbol_info("NONE")
    assert terminal.last_error() == (-4, texts["-4"])
    terminal.copy_rates_from_pos("EURUSD", 7, 0, 1)
    code, text = terminal.last_error()
    assert code == -2
    assert texts["-2"].startswith(text)
