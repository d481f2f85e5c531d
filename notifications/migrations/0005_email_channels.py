from django.db import migrations
from django.db.models import F


def give_email_channels(apps, schema_editor):
    """Give everybody the channel by e-mail, and what was told before nothing more to decide."""
    Channel = apps.get_model("notifications", "Channel")
    Notification = apps.get_model("notifications", "Notification")
    Delivery = apps.get_model("notifications", "Delivery")
    user_ids = apps.get_model("accounts", "User").objects.values_list("pk", flat=True)
    Channel.objects.bulk_create(
        Channel(user_id=user_id, transport="email", name="E-mail") for user_id in user_ids
    )
    Notification.objects.update(routed_at=F("created_at"))
    for channel_id, user_id in Channel.objects.values_list("pk", "user_id"):
        Delivery.objects.filter(notification__user=user_id, transport="email").update(
            channel=channel_id, channel_name="E-mail"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0004_channels_and_preferences"),
        ("accounts", "0005_snapshots_of_period"),
    ]

    operations = [migrations.RunPython(give_email_channels, migrations.RunPython.noop)]
