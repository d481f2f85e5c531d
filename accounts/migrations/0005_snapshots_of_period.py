from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_email_addresses")]

    operations = [
        migrations.AddIndex(
            model_name="equitysnapshot",
            index=models.Index(fields=["resolution", "at"], name="accounts_snapshots_of_period"),
        ),
    ]
