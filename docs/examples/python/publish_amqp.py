"""Publishes an event to the broker, as any AMQP client can: `pip install pika`, `python3 publish_amqp.py`."""
import json
import os
import uuid

import pika

EXCHANGE = "hookfleet.events"


def publish(channel, tenant, event_type, data, key):
    """Returns once the broker has it on disk; raises if it does not take it, or nothing is bound."""
    channel.basic_publish(
        EXCHANGE,
        routing_key=f"{tenant}.{event_type}",
        body=json.dumps({"tenant": tenant, "type": event_type, "data": data}),
        properties=pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            # The same again, also after a crash of this program, is the same event.
            message_id=key,
        ),
        mandatory=True,
    )


if __name__ == "__main__":
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["HOOKFLEET_AMQP_URL"]))
    channel = connection.channel()
    channel.confirm_delivery()
    tenant = os.environ.get("HOOKFLEET_TENANT", "default")
    key = os.environ.get("KEY", str(uuid.uuid4()))
    publish(channel, tenant, "order.paid", {"order": 42}, key)
    print("published")
    connection.close()
