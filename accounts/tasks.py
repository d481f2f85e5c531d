from uuid import UUID

from celery import shared_task

from accounts.sessions.process import nudge


@shared_task(name="accounts.apply_connection", ignore_result=True)
def apply_connection(account_id: str) -> None:
    """Let the sessions of this process follow what was asked for an account.

    Runs on the queue of the account's host. A message that is lost only costs time: the sessions
    look into the database every second.
    """
    nudge(UUID(account_id))
