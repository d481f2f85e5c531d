from notifications.services.deliveries import SENDERS_PER_TRANSPORT
from notifications.transports import transports
from tradeguard.serving import programs


def test_no_transport_can_take_every_thread_of_the_sending_worker() -> None:
    command = programs.deliveries("local").command
    assert "--queues=deliveries" in command
    [option] = [part for part in command if part.startswith("--concurrency=")]
    assert int(option.partition("=")[2]) >= SENDERS_PER_TRANSPORT * len(transports())
