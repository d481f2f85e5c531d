from risk.admin import ledgers, news, presets, rules

__all__ = ["ledgers", "news", "presets", "rules"]
