"""How a call to a child process can fail, and whether an order may have gone out all the same."""

from accounts.terminals.codes import IPC_NO_CONNECTION, IPC_TIMEOUT
from accounts.terminals.link import LinkError, LinkTimeout


class CallRefusedError(LinkError):
    """A call that the terminal answered with an error, or that never left this process."""

    def __init__(self, code: int, text: str, *, may_have_executed: bool) -> None:
        super().__init__(code, text)
        self._may_have_executed = may_have_executed

    @property
    def may_have_executed(self) -> bool:
        return self._may_have_executed


class AnswerLostError(LinkTimeout):
    """A call that left and whose answer will not come: whether it was carried out is unknown."""

    def __init__(self, text: str) -> None:
        super().__init__(IPC_TIMEOUT, text)


def not_sent(text: str) -> CallRefusedError:
    return CallRefusedError(IPC_NO_CONNECTION, text, may_have_executed=False)
