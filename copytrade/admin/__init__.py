from copytrade.admin import batches, ledgers, relationships

__all__ = ["batches", "ledgers", "relationships"]
