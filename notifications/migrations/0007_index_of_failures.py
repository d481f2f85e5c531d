from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("notifications", "0006_ids_of_preferences")]

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
