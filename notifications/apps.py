from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        # Services import models, which exist only now.
        from accounts.services.users import register_arrival
        from notifications.services.arrivals import welcome

        register_arrival(welcome)
