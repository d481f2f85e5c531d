from accounts.admin import accounts, credentials, hosts, users

__all__ = ["accounts", "credentials", "hosts", "users"]
