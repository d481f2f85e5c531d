from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_types_of_enforcement")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="type",
            field=models.CharField(
                choices=[
                    ("risk_breach", "Rule violated"),
                    ("connection_lost", "Connection lost"),
                    ("connection_restored", "Connection restored"),
                    ("enforcement", "TradeGuard stepped in"),
                    ("margin_warning", "Margin is running out"),
                    ("liquidation", "Liquidated"),
                    ("objective", "Objective"),
                ],
                max_length=32,
            ),
        )
    ]
