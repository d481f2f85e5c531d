from django.apps import AppConfig


class TradeGuardConfig(AppConfig):
    name = "tradeguard"
    verbose_name = "TradeGuard"

    def ready(self) -> None:
        # Models exist only now.
        from accounts.services.security_events import register_teller
        from tradeguard.security_notices import tell_security

        register_teller(tell_security)
