"""How a call to a terminal fails, whichever kind of terminal it is."""

from accounts.terminals import codes

_TEXTS = {
    codes.CALL_FAILED: "Terminal: Call failed",
    codes.INVALID_PARAMS: "Terminal: Invalid params",
    codes.NOT_FOUND: "Terminal: Not found",
    codes.INVALID_VERSION: (
        "Terminal: Incompatible versions, please install the latest version of Terminal and "
        "Python module"
    ),
    codes.AUTHORIZATION_FAILED: "Terminal: Authorization failed",
    codes.ALGO_TRADING_DISABLED: "Auto-Trading using Python API disabled in Terminal",
    codes.IPC_SEND_FAILED: "IPC send failed",
    codes.IPC_RECEIVE_FAILED: "IPC recv failed",
    codes.IPC_NO_CONNECTION: "No IPC connection",
    codes.IPC_TIMEOUT: "IPC timeout",
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
        return codes.may_have_executed(self.code)


class LinkTimeout(LinkError):  # noqa: N818 (named for what happened, as in the contract)
    """No answer within the limit; what was asked may still be carried out."""

    def __init__(self, code: int = codes.IPC_TIMEOUT, text: str = "") -> None:
        super().__init__(code, text)
