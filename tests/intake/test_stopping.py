"""SIGTERM with a broker that does not answer: it keeps nobody waiting."""

from __future__ import annotations

import signal

from tests.intake.brokered import Brokered
from tests.service.peers import fresh
from tests.service.test_deploys import departures
from tests.support.rabbitmq import RabbitMQ


def test_clients_leave_a_few_at_a_time_although_the_broker_does_not_answer(rabbitmq: RabbitMQ) -> None:
    node = Brokered(rabbitmq, "--drain-rate", "1", "--drain-timeout", "5", "--rabbitmq-heartbeat", "60")
    node.start()
    clients = [node.join(fresh("u")) for _ in range(20)]
    rabbitmq.signal(signal.SIGSTOP)
    try:
        node.program.process.send_signal(signal.SIGTERM)
        assert len(list(departures(clients))) == 20
        assert node.program.wait() == 0
        node.program.wait_for_output("RabbitMQ does not answer")
        assert not any("stopping at once" in line for line in node.program.output)
    finally:
        rabbitmq.signal(signal.SIGCONT)
        node.service.close_clients()
