from django.db import migrations
from django.db.models.functions import Lower


def note_addresses(apps, _schema_editor):
    """Tell the sign-in the address of every user; it is in lower case on both sides."""
    User = apps.get_model("accounts", "User")
    EmailAddress = apps.get_model("account", "EmailAddress")
    User.objects.exclude(email=Lower("email")).update(email=Lower("email"))
    known = EmailAddress.objects.values("user_id")
    EmailAddress.objects.bulk_create(
        (
            EmailAddress(user_id=pk, email=email, primary=True, verified=False)
            for pk, email in User.objects.exclude(pk__in=known).values_list("pk", "email")
        ),
        batch_size=1_000,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_append_only_audit"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [migrations.RunPython(note_addresses, migrations.RunPython.noop)]
