"""Dates as the package takes them."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.simulated.surface.arguments import epoch


class TestDates:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (0, 0),
            (1.9, 1),
            (-1.9, -1),
            (2**31 - 1, 2**31 - 1),
            (2**31, -(2**31)),
            (2**32 + 5, 5),
            (datetime(2026, 11, 2, tzinfo=UTC), 1_793_577_600),
            (datetime(2026, 11, 2, 2, tzinfo=timezone(timedelta(hours=2))), 1_793_577_600),
            (datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC), 2**31 - 1),
            (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), -(2**31)),
            (np.float64(7.5), 7),
        ],
    )
    def test_it_keeps_32_bits(self, value: Any, seconds: int) -> None:
        assert epoch(value) == seconds

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="the local zone cannot be set here")
    def test_a_naive_datetime_is_local_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        try:
            assert epoch(datetime(2026, 11, 2, 9)) == 1_793_577_600  # noqa: DTZ001
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize(
        "value",
        ["2026-11-02", None, date(2026, 11, 2), np.datetime64("2026-11-02"), float("inf")],
    )
    def test_it_takes_nothing_else(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r".*"):
            epoch(value)

    @given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
    def test_it_never_leaves_32_bits(self, value: float) -> None:
        assert -(2**31) <= epoch(value) < 2**31
        assert (epoch(value) - int(value)) % 2**32 == 0
