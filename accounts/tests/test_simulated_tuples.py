"""The result tuples as callers see them."""

import copy
import pickle
from typing import Any

import pytest

from accounts.terminals.simulated.surface.tuples import (
    BookInfo,
    OrderSendResult,
    Tick,
    TradeRequest,
)
from accounts.tests.recording_link import TICK, blank


class TestResultTuples:
    def test_it_reads_by_name_index_and_slice_and_equals_a_tuple(self) -> None:
        tick = Tick(list(TICK))

        assert (tick.bid, tick[1], tick[1:3]) == (1.08770, 1.08770, (1.08770, 1.08774))
        assert tick == TICK
        assert hash(tick) == hash(TICK)
        match tick:
            case Tick(epoch_seconds, bid):
                assert (epoch_seconds, bid) == TICK[:2]

    def test_it_shows_its_bare_name(self) -> None:
        assert repr(BookInfo((1, 1.5, 0, 0.0))) == (
            "BookInfo(type=1, price=1.5, volume=0, volume_dbl=0.0)"
        )
        assert repr(BookInfo) == "<class 'BookInfo'>"

    @pytest.mark.parametrize("length", [0, 7, 9])
    def test_it_takes_exactly_its_fields(self, length: int) -> None:
        with pytest.raises(TypeError, match=rf"Tick\(\) takes a 8-sequence \({length}-sequence"):
            Tick(range(length))

    def test_it_takes_one_sequence(self) -> None:
        kind: Any = Tick
        with pytest.raises(TypeError, match="constructor requires a sequence"):
            kind(5)
        with pytest.raises(TypeError):
            kind(*TICK)

    def test_it_cannot_be_written(self) -> None:
        tick = Tick(TICK)
        for name in ("bid", "anything"):
            with pytest.raises(AttributeError):
                setattr(tick, name, 1.0)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_copies_but_does_not_pickle(self, protocol: int) -> None:
        tick = Tick(TICK)
        assert copy.deepcopy([tick]) == [tick]
        assert type(copy.copy(tick)) is Tick
        with pytest.raises(pickle.PicklingError, match="attribute lookup Tick on builtins failed"):
            pickle.dumps(tick, protocol)

    def test_it_gives_a_dict_whose_request_is_still_a_tuple_with_names(self) -> None:
        request = TradeRequest(blank(TradeRequest, symbol="EURUSD"))
        result = OrderSendResult(blank(OrderSendResult, request=request))

        nested = result._asdict()["request"]

        assert list(result._asdict()) == list(OrderSendResult.__match_args__)
        assert nested._asdict()["symbol"] == "EURUSD"
