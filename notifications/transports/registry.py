from collections.abc import Mapping

from notifications.models import Delivery
from notifications.transports import email
from notifications.transports.base import Transport

TRANSPORTS: Mapping[str, Transport] = {Delivery.Channel.EMAIL: email.send}
