from django.apps import AppConfig


class CopytradeConfig(AppConfig):
    name = "copytrade"
    verbose_name = "Copy trading"

    def ready(self) -> None:
        # Services import models, which exist only now.
        from accounts.services.locks import register_change_check, register_forget
        from copytrade.services.departures import change_refusal, forget_account
        from copytrade.services.withdrawing import opens_taken_back
        from risk.models import Order
        from risk.orders.withdrawn import register_taken_back

        register_change_check(change_refusal)
        register_forget(forget_account)
        register_taken_back(Order.Origin.COPY, opens_taken_back)
