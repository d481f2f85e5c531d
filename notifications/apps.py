from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        # Services import models, which exist only now.
        from accounts.services.profile import register_mover
        from accounts.services.users import register_arrival
        from notifications.services.arrivals import welcome
        from notifications.services.delivery_settings import move_quiet_hours

        register_arrival(welcome)
        register_mover(move_quiet_hours)
