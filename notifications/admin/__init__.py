from notifications.admin import channels, ledgers, preferences

__all__ = ["channels", "ledgers", "preferences"]
