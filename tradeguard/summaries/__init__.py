from tradeguard.summaries.sending import send_summaries

__all__ = ["send_summaries"]
