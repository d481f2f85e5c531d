from django.apps import AppConfig


class TradeGuardConfig(AppConfig):
    name = "tradeguard"
    verbose_name = "TradeGuard"
