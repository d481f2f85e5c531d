from celery import shared_task

from copytrade.replication.desk import wake_copying


@shared_task(name="copytrade.serve", ignore_result=True)
def serve(host: str) -> None:
    """Look at once for copies that another host has ordered for accounts of this one.

    Runs on the queue of that host. A message that is lost only costs time: each second looks.
    """
    wake_copying([host])
