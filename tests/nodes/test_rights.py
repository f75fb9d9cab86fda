"""The rights that docs/cluster.rst asks an operator to give at Redis: enough, and none too many."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest
from twisted.internet.defer import Deferred

from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis as Client
from tests.cluster.clusters import come, reactor
from tests.intake.brokered import Brokered, Names, order, until
from tests.nodes.conftest import joined
from tests.service.servers import granted
from tests.support.processes import ROOT
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis
from tests.test_docs import code_blocks

PAGE = ROOT / "docs" / "cluster.rst"


def rights(protocol: str) -> str:
    """What the page says of the user for the adapter."""
    blocks = [block for block in code_blocks(PAGE, "text") if block.startswith("user rtwist ")]
    (found,) = [block for block in blocks if ("+spublish" in block) == (protocol == "sharded")]
    return " ".join(found.split()).removeprefix("user ")


def used(server: Redis) -> set[str]:
    """The commands that were called, in the words of ACL."""
    rows = re.findall(r"cmdstat_([^:]+):calls=(\d+)", server.cli("INFO", "commandstats"))
    return {name for name, calls in rows if int(calls)}


def use_everything(nodes: list[Brokered]) -> None:
    """Whatever nodes do at Redis."""
    watcher = nodes[0].service.join("boss", "c1")
    owner = nodes[1].service.join("u1", "c1")
    assert watcher.wait_for_presence() == ("online", "u1")
    nodes[0].service.publish({"type": "order.created", "id": "e1", "data": order(1)})
    assert owner.next_event().data["orderId"] == "o1"
    until(lambda: granted(nodes[0].service.request("GET", "/connected-users"))["users"] == ["boss", "u1"])
    assert granted(nodes[0].service.request("GET", "/user-status/u1"))["isConnected"] is True
    assert nodes[0].service.post("/revoke", {"user": "u2"}).status == 200
    nodes[0].service.publish({"type": "user.updated", "id": "e2", "data": {"userId": "u1", "companyId": "c2"}})
    nodes[0].service.publish({"type": "user.deactivated", "id": "e3", "data": {"userId": "u1"}})
    assert "41" in owner.rest()
    assert watcher.wait_for_presence() == ("offline", "u1")
    nodes[1].service.join("u3", "c1")
    assert watcher.wait_for_presence() == ("online", "u3")
    nodes[1].program.process.kill()
    nodes[1].program.wait()
    assert watcher.wait_for_presence() == ("offline", "u3")


def count_nodes(url: str, protocol: str) -> int:
    """What an adapter that asks for it is told."""
    redis = Client(reactor, read_url(url))
    redis.startService()
    come(redis.when_connected())
    bus = RedisBus(redis, sharded=protocol == "sharded")
    channel = "socket.io#/#" if protocol == "sharded" else "socket.io-request#/#"
    number: int = come(Deferred.fromCoroutine(bus.subscribers(channel)))
    redis.stopService()
    return number


@pytest.mark.parametrize("protocol", ["classic", "sharded"])
def test_what_the_page_lists_is_enough_and_each_of_it_is_used(rabbitmq: RabbitMQ, protocol: str) -> None:
    listed = rights(protocol)
    names = Names()
    with Redis({"user": listed}) as server, ExitStack() as stack:
        env = {
            "REDIS_URL": f"redis://rtwist:change-me@127.0.0.1:{server.port}",
            "RTWIST_REDIS_LEASE": "2",
            "RTWIST_DEDUP_SIZE": "2",
        }
        nodes = [Brokered(rabbitmq, "--cluster", protocol, names=names, env=env) for _ in range(2)]
        for one in nodes:
            stack.enter_context(one)
            joined(one)
        assert count_nodes(env["REDIS_URL"], protocol) == 2
        use_everything(nodes)
        assert server.cli("ACL", "LOG") == ""
        assert set(re.findall(r"\+(\S+)", listed)) - used(server) == set()
        nodes[1].service.close_clients()
