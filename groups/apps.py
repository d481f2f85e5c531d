from django.apps import AppConfig


class GroupsConfig(AppConfig):
    name = "groups"
    verbose_name = "Groups"

    def ready(self) -> None:
        # Services import models, which exist only now.
        from accounts.services.locks import register_forget
        from groups.services import forget_account

        register_forget(forget_account)
