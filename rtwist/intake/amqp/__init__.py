"""AMQP 0-9-1 for Twisted: txAMQP 0.8.2, repaired from outside.

    addresses = read_urls("amqps://user:password@host/vhost")
    endpoint = BrokerEndpoint(reactor, addresses)
    connection = await endpoint.connect(BrokerFactory(clock=reactor))

Everything else is a method of `BrokerConnection`; what can go wrong is a `BrokerError` or a `PublishError` of
`rtwist.errors`.
"""

from rtwist.intake.amqp.codec import Table, Timestamp
from rtwist.intake.amqp.connection import BrokerConnection
from rtwist.intake.amqp.endpoint import BrokerEndpoint
from rtwist.intake.amqp.factory import BrokerFactory
from rtwist.intake.amqp.message import PERSISTENT, TRANSIENT, Delivery, Properties
from rtwist.intake.amqp.options import BrokerOptions, QueueState
from rtwist.intake.amqp.url import BrokerAddress, read_urls

__all__ = [
    "PERSISTENT",
    "TRANSIENT",
    "BrokerAddress",
    "BrokerConnection",
    "BrokerEndpoint",
    "BrokerFactory",
    "BrokerOptions",
    "Delivery",
    "Properties",
    "QueueState",
    "Table",
    "Timestamp",
    "read_urls",
]
