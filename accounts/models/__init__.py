from accounts.models.account import ConnectedAccount, Tag
from accounts.models.connection import AccountConnection, ConnectionLog
from accounts.models.host import TerminalHost
from accounts.models.key import ApiKey
from accounts.models.user import User

__all__ = [
    "AccountConnection",
    "ApiKey",
    "ConnectedAccount",
    "ConnectionLog",
    "Tag",
    "TerminalHost",
    "User",
]
