import zlib
from uuid import UUID, uuid4

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from accounts.hot_state import (
    ACCOUNT_STATE_DTYPE,
    LAYOUT_VERSION,
    RULE_STATE_DTYPE,
    TABLES_FIELD,
    Details,
    Tables,
    pack_accounts,
    pack_tables,
    read_accounts,
    read_sequences,
    unpack_account,
)
from accounts.redis import readings_key, sequences_key
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE, Rows

TABLES = Tables(1_700_000_000.5, ("EURUSD",), ("USD",), ("a rule",))


def rows_of(dtype: np.dtype[np.void], count: int, seed: int) -> Rows:
    """Fill rows with numbers of all kinds, NaN and infinity among them."""
    random = np.random.default_rng(seed)
    rows = np.zeros(count, dtype)
    for name in dtype.names or ():
        column = random.normal(0, 1e5, count)
        if rows[name].dtype.kind == "f":
            column[random.random(count) < 0.2] = np.nan
            column[random.random(count) < 0.1] = np.inf
            rows[name] = column
        else:
            rows[name] = np.abs(column) % 100
    return rows


def packed(
    fields: list[bytes], counts: list[tuple[int, int, int]], checksum: int, seed: int
) -> tuple[dict[bytes, bytes], Rows, list[Rows]]:
    """Pack accounts with so many rules, positions and orders each."""
    accounts = rows_of(ACCOUNT_STATE_DTYPE, len(fields), seed)
    dtypes = (RULE_STATE_DTYPE, POSITION_DTYPE, ORDER_DTYPE)
    columns = list(zip(*counts, strict=True))
    tables = [
        Details(rows_of(dtype, sum(column), seed + number), np.cumsum([0, *column]).tolist())
        for number, (dtype, column) in enumerate(zip(dtypes, columns, strict=True), 1)
    ]
    rules, positions, orders = tables
    values = pack_accounts(
        fields, checksum, accounts, rules=rules, positions=positions, orders=orders
    )
    return values, accounts, [table.rows for table in tables]


_COUNT = st.integers(0, 5)


@given(
    st.lists(st.tuples(_COUNT, _COUNT, _COUNT), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
    st.integers(0, 1000),
)
def test_it_reads_back_what_was_packed(
    counts: list[tuple[int, int, int]], checksum: int, seed: int
) -> None:
    fields = [str(number).encode() for number in range(len(counts))]
    values, accounts, (rules, positions, orders) = packed(fields, counts, checksum, seed)
    assert list(values) == fields
    found = [unpack_account(values[field], TABLES, checksum) for field in fields]
    states = [state for state in found if state is not None]
    assert b"".join(state.account.tobytes() for state in states) == accounts.tobytes()
    assert b"".join(state.rules.tobytes() for state in states) == rules.tobytes()
    assert b"".join(state.positions.tobytes() for state in states) == positions.tobytes()
    assert b"".join(state.orders.tobytes() for state in states) == orders.tobytes()
    sizes = [(len(state.rules), len(state.positions), len(state.orders)) for state in states]
    assert sizes == counts


def test_it_takes_an_account_with_more_positions_than_two_bytes_count() -> None:
    values, *_ = packed([b"0"], [(0, 70_000, 1)], 1, 0)
    state = unpack_account(values[b"0"], TABLES, 1)
    assert state is not None
    assert len(state.positions) == 70_000


def test_it_does_not_believe_rows_of_other_tables_or_another_layout() -> None:
    values, *_ = packed([b"0"], [(1, 1, 1)], 1, 0)
    assert unpack_account(values[b"0"], TABLES, 1) is not None
    assert unpack_account(values[b"0"], TABLES, 2) is None
    other = bytes([LAYOUT_VERSION + 1]) + values[b"0"][1:]
    assert unpack_account(other, TABLES, 1) is None


def test_rows_that_are_laid_out_anew_have_another_layout_version() -> None:
    dtypes = (ACCOUNT_STATE_DTYPE, RULE_STATE_DTYPE, POSITION_DTYPE, ORDER_DTYPE)
    layout = zlib.crc32(repr([dtype.descr for dtype in dtypes]).encode())
    assert (LAYOUT_VERSION, layout) == (6, 3389236515)


def test_it_tells_tables_with_other_names_apart() -> None:
    checksums = {
        pack_tables(Tables(0.0, *names))[1]
        for names in [
            (("A", "B"), (), ()),
            (("B", "A"), (), ()),
            (("A",), ("B",), ()),
            ((), ("A", "B"), ()),
            ((), (), ("A", "B")),
        ]
    }
    assert len(checksums) == 5
    assert (
        pack_tables(Tables(1.0, ("A",), (), ()))[1] == (pack_tables(Tables(3.0, ("A",), (), ()))[1])
    )


def test_it_reads_what_was_written_and_leaves_out_what_was_not(redis: Redis) -> None:
    known, unknown, stale = uuid4(), uuid4(), uuid4()
    tables, checksum = pack_tables(TABLES)
    values, *_ = packed([str(known).encode()], [(1, 1, 1)], checksum, 0)
    old, *_ = packed([str(stale).encode()], [(1, 1, 1)], checksum ^ 1, 0)
    mapping: dict[bytes, bytes] = {TABLES_FIELD: tables, **values, **old}
    redis.hset(readings_key("local"), mapping=mapping)
    found = read_accounts({"local": [known, unknown, stale], "empty": [unknown], "none": []})
    assert list(found) == [known]
    assert found[known].tables == TABLES
    assert read_accounts({}) == {}


def test_it_reads_the_numbers_of_updates(redis: Redis) -> None:
    one, none = UUID(int=1), UUID(int=2)
    redis.hset(sequences_key("group"), str(one), "5")
    assert read_sequences("group", [one, none]) == {one: 5}
    assert read_sequences("account", [one]) == {}
    assert read_sequences("group", []) == {}
