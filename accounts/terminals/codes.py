"""The error codes of terminals of all kinds, and what they say of an order."""

from typing import Final

# Codes of last_error(), from mt5's RES_* constants, without importing either implementation.
CALL_FAILED: Final = -1
INVALID_PARAMS: Final = -2
NO_MEMORY: Final = -3
NOT_FOUND: Final = -4
INVALID_VERSION: Final = -5
AUTHORIZATION_FAILED: Final = -6
UNSUPPORTED: Final = -7
ALGO_TRADING_DISABLED: Final = -8
IPC_FAILED: Final = -10000
IPC_SEND_FAILED: Final = -10001
IPC_RECEIVE_FAILED: Final = -10002
IPC_NOT_STARTED: Final = -10003
IPC_NO_CONNECTION: Final = -10004
IPC_TIMEOUT: Final = -10005
# None of MetaTrader's codes: a login that has neither succeeded nor failed yet.
LOGIN_UNDER_WAY: Final = 0

IPC_CODES: Final = range(IPC_TIMEOUT, IPC_FAILED + 1)
_REFUSED_BEFORE_SENDING: Final = frozenset(
    {
        INVALID_PARAMS,
        INVALID_VERSION,
        UNSUPPORTED,
        ALGO_TRADING_DISABLED,
        IPC_NOT_STARTED,
        IPC_NO_CONNECTION,
    }
)


def may_have_executed(code: int) -> bool:
    """Tell whether an order whose call failed with this code may still have reached the broker.

    Only codes that arise before a request leaves say no; such an order must be reconciled.
    """
    return code not in _REFUSED_BEFORE_SENDING
