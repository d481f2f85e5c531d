from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("notifications", "0005_email_channels")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["updated_at"],
                condition=Q(state="failed"),
                name="notifications_delivery_failed",
            ),
        ),
    ]
