from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("notifications", "0006_index_of_failures")]

    operations = [
        migrations.RemoveIndex(model_name="notification", name="notifications_newest"),
        migrations.RemoveIndex(model_name="notification", name="notifications_unread"),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                fields=["user", "-created_at", "is_hidden"], name="notifications_newest"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                fields=["user", "created_at"],
                condition=Q(read_at=None, is_hidden=False),
                name="notifications_unread",
            ),
        ),
    ]
