"""The way to the broker over TLS, through the whole service; a broker that cannot be trusted is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.intake.brokered import Brokered, order
from tests.service.servers import complaints
from tests.support.certificates import Authority
from tests.support.rabbitmq import RabbitMQ


def env_of(node: RabbitMQ, ca_file: Path) -> dict[str, str]:
    return {"RABBITMQ_URL": node.tls_url, "RTWIST_RABBITMQ_CA_FILE": str(ca_file)}


def test_events_come_in_and_go_out(rabbitmq: RabbitMQ) -> None:
    with Brokered(rabbitmq, "--to-broker", env=env_of(rabbitmq, rabbitmq.ca_file)) as brokered:
        client = brokered.join()
        brokered.publish(order(1))
        assert client.next_event().data["orderId"] == "o1"
        assert brokered.service.post("/events", {"type": "order.shipped", "data": order(2)}).status == 200
        assert client.next_event().data["orderId"] == "o2"
        assert brokered.program.wait_for_output(f"consumer: connected to amqps://localhost:{rabbitmq.tls_port}")
        brokered.publish(b"bad")
        assert len(brokered.wait_for_dead()) == 1
        assert brokered.tool("dead-letters") == (0, "0 dead letters\n")


@pytest.mark.parametrize("known", ["somebody else", None])
def test_an_unknown_authority_is_refused_in_a_line(rabbitmq: RabbitMQ, tmp_path: Path, known: str | None) -> None:
    env = {"RABBITMQ_URL": rabbitmq.tls_url}
    if known is not None:
        (tmp_path / "ca.pem").write_bytes(Authority(known).certificate_pem)
        env = env_of(rabbitmq, tmp_path / "ca.pem")
    brokered = Brokered(rabbitmq, env=env)
    brokered.start(wait=False)
    line = brokered.program.wait_for_output("consumer: cannot connect")
    status, said = brokered.tool("dead-letters")
    assert brokered.service.request("GET", "/ready").status == 503
    assert brokered.stop() == 0
    assert "certificate verify failed" in line
    assert "see --rabbitmq-ca-file" in line
    assert (status, said.count("\n")) == (1, 1)
    assert "see --rabbitmq-ca-file" in said
    assert complaints(brokered.program.output) == []
