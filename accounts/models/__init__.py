from accounts.models.account import ConnectedAccount, Tag
from accounts.models.connection import AccountConnection, ConnectionLog
from accounts.models.history import Deal, EquitySnapshot
from accounts.models.host import TerminalHost
from accounts.models.key import ApiKey, ApiKeyAuditLog, MasterKey
from accounts.models.session import KnownOrigin, ProgramSession
from accounts.models.user import User

__all__ = [
    "AccountConnection",
    "ApiKey",
    "ApiKeyAuditLog",
    "ConnectedAccount",
    "ConnectionLog",
    "Deal",
    "EquitySnapshot",
    "KnownOrigin",
    "MasterKey",
    "ProgramSession",
    "Tag",
    "TerminalHost",
    "User",
]
