from django.db import migrations

from accounts.ledgers import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_vault_and_history"),
    ]

    operations = [
        AppendOnly("accounts_apikeyauditlog"),
    ]
