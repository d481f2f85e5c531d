from accounts.admin import accounts, credentials, history, hosts, users

__all__ = ["accounts", "credentials", "history", "hosts", "users"]
