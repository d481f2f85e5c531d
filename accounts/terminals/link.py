"""How a call to a terminal fails, whichever kind of terminal it is."""

from accounts.terminals import base

_TEXTS = {
    base.CALL_FAILED: "Terminal: Call failed",
    base.INVALID_PARAMS: "Terminal: Invalid params",
    base.NOT_FOUND: "Terminal: Not found",
    base.INVALID_VERSION: (
        "Terminal: Incompatible versions, please install the latest version of Terminal and "
        "Python module"
    ),
    base.AUTHORIZATION_FAILED: "Terminal: Authorization failed",
    base.ALGO_TRADING_DISABLED: "Auto-Trading using Python API disabled in Terminal",
    base.IPC_SEND_FAILED: "IPC send failed",
    base.IPC_RECEIVE_FAILED: "IPC recv failed",
    base.IPC_NO_CONNECTION: "No IPC connection",
    base.IPC_TIMEOUT: "IPC timeout",
}


class LinkError(Exception):
    """A call that the terminal could not answer: MT5's last_error code and its description.

    A code that the terminal has a description for gets that one.
    """

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.text = text or _TEXTS.get(code, "")
        super().__init__(code, self.text)

    @property
    def may_have_executed(self) -> bool:
        """Whether an order whose call failed so may still have reached the broker."""
        return base.may_have_executed(self.code)


class LinkTimeout(LinkError):  # noqa: N818 (named for what happened, as in the contract)
    """No answer within the limit; what was asked may still be carried out."""

    def __init__(self, code: int = base.IPC_TIMEOUT, text: str = "") -> None:
        super().__init__(code, text)
