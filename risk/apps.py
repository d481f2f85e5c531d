from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        # Services import models, which exist only now.
        from accounts.services.locks import register_forget, register_lock
        from groups.services import register_departure, register_departure_check
        from risk.services.locks import (
            ViolationLock,
            departure_refusal,
            disarm_departed,
            forget_account,
        )

        register_lock(ViolationLock())
        register_forget(forget_account)
        register_departure_check(departure_refusal)
        register_departure(disarm_departed)
