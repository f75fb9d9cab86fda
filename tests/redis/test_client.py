"""Commands, scripts and the bounds of the bus, with a real Redis."""

from __future__ import annotations

import time

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults
from twisted.internet.testing import MemoryReactorClock

from rtwist.errors import BusFull, RedisLost, RedisReplyError
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import CHANNEL, Redis, RedisOptions
from rtwist.redis.wire import WireOptions
from tests.cluster.stores import DirectRedis
from tests.redis.ends import connected
from tests.support.redis import Redis as Server

SCRIPT = "return {KEYS[1], ARGV[1], ARGV[2]}"


@ensureDeferred
async def test_commands_and_their_answers(redis_server: Server) -> None:
    async with connected(f"{redis_server.url}/2") as redis:
        assert await redis.call("SET", "ключ", b"\xff\r\n007") == b"OK"
        assert await redis.call("GET", "ключ") == b"\xff\r\n007"
        assert await redis.call("RPUSH", "list", 1, b"message", "1.50") == 3
        assert await redis.call("LRANGE", "list", 0, -1) == [b"1", b"message", b"1.50"]
        assert await redis.call("GET", "nothing") is None
        with pytest.raises(RedisReplyError) as caught:
            await redis.call("INCR", "list")
        assert caught.value.code == "WRONGTYPE"
        assert redis_server.cli("-n", "2", "DBSIZE") == "2"
        await redis.call("FLUSHDB")
        (name,) = {row["name"] for row in redis_server.clients() if row.get("cmd", "").startswith("flushdb")}
        assert name == "rtwist-commands"


@ensureDeferred
async def test_a_script_is_run_whether_redis_has_it_or_not(redis_server: Server) -> None:
    async with connected(redis_server.url) as redis:
        redis_server.cli("CONFIG", "RESETSTAT")
        for _ in range(2):
            await redis.call("SCRIPT", "FLUSH")
            for _ in range(2):
                assert await redis.evaluate(SCRIPT, ["k"], ["a", 1]) == [b"k", b"a", b"1"]
        assert "evalsha:calls=4" in redis_server.cli("INFO", "commandstats")
        assert "cmdstat_eval:calls=2" in redis_server.cli("INFO", "commandstats")
        with pytest.raises(RedisReplyError, match="oh no"):
            await redis.evaluate("return redis.error_reply('MINE oh no')")


@ensureDeferred
async def test_what_is_flushed_leaves_before_the_reactor_turns(redis_server: Server) -> None:
    direct = DirectRedis(redis_server.port)
    async with connected(redis_server.url) as redis:
        answer = redis.call("SET", "flushed", "now")
        redis.flush()
        redis.flush()
        deadline = time.monotonic() + 20
        while await direct.call("GET", "flushed") != b"now":  # answered before it returns: nothing turns here
            assert time.monotonic() < deadline
        assert await answer == b"OK"
        redis.flush()
    redis.flush()
    direct.close()


@ensureDeferred
async def test_publishing_keeps_its_order_and_is_confirmed(redis_server: Server) -> None:
    async with connected(redis_server.url) as redis:
        heard: list[bytes] = []
        RedisBus(redis).subscribe("order", lambda _, message: heard.append(message))
        await redis.subscribed()
        sent = [b"%d" % number for number in range(2000)]
        assert await gatherResults([redis.publish("order", each) for each in sent]) == [1] * 2000
        await redis.subscribed()
        assert heard == sent


@pytest.mark.parametrize("bounds", [{"max_waiting": 3}, {"max_waiting_bytes": 30}])
@ensureDeferred
async def test_publishes_wait_within_bounds(redis_server: Server, bounds: dict[str, int]) -> None:
    async with connected(redis_server.url) as redis:
        heard: list[bytes] = []
        bus = RedisBus(redis, **bounds)
        bus.subscribe("bounds", lambda _, message: heard.append(message))
        await redis.subscribed()
        for number in range(5):
            bus.publish("bounds", b"%010d" % number)
        assert bus.waiting == 3
        assert bus.waiting_bytes == 30
        good = bus.settled(3)
        await bus.settled(bus.position)
        with pytest.raises(BusFull):
            await good
        await redis.subscribed()
        assert heard == [b"%010d" % number for number in range(3)]
        assert bus.counts == {"published": 3, "confirmed": 3, "full": 2}
        assert (bus.waiting, bus.waiting_bytes) == (0, 0)
        bus.publish("bounds", b"x" * 100)  # alone it may be longer than the bound
        await bus.settled(5)


@ensureDeferred
async def test_a_drop_fails_only_who_published_it(redis_server: Server) -> None:
    async with connected(redis_server.url) as redis:
        bus = RedisBus(redis, max_waiting=2)
        bus.publish("drops", b"1")
        bus.publish("drops", b"2")
        before = bus.settled(0)
        bus.publish("drops", b"dropped")
        with pytest.raises(BusFull):
            await bus.settled(2)
        await before
        await bus.settled(3)


@ensureDeferred
async def test_a_later_message_that_was_not_sent_fails_no_earlier_one(redis_server: Server) -> None:
    narrow = RedisOptions(wire=WireOptions(max_waiting=2))
    async with connected(redis_server.url, options=narrow) as redis:
        bus = RedisBus(redis)
        await redis.call("PING")  # the first heartbeat, asked for before, is answered then
        for text in (b"1", b"2"):
            bus.publish("drops", text)
        before = bus.settled(0)
        bus.publish("drops", b"too many for the connection")
        assert bus.counts["full"] == 1
        with pytest.raises(BusFull):
            await bus.settled(2)
        await before
        assert bus.counts["confirmed"] == 2


@ensureDeferred
async def test_many_subscriptions_at_once_are_all_brought_to_a_new_connection(redis_server: Server) -> None:
    narrow = RedisOptions(wire=WireOptions(max_waiting=10))
    async with connected(redis_server.url, options=narrow) as redis:
        heard: list[str] = []
        for number in range(2000):
            redis.subscribe(CHANNEL, f"room{number}", lambda channel, _: heard.append(channel))
        await redis.subscribed()
        assert redis.subscriber.made == 1
        assert redis.subscriber.wire is not None
        redis.subscriber.wire.fail(RedisLost("cut by this test"))
        await redis.when_connected()
        await redis.publish("room0", b"")
        await redis.publish("room1999", b"")
        await redis.subscribed()
        assert heard == ["room0", "room1999"]


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/service", "unix:///nowhere"]
)
def test_who_is_stopped_while_it_connects_does_not_try_again(url: str) -> None:
    reactor = MemoryReactorClock()
    redis = Redis(reactor, read_url(url))
    redis.startService()
    tried = [*reactor.tcpClients, *reactor.unixClients]
    assert len(tried) == 2
    redis.stopService()
    reactor.advance(60.0)
    assert [*reactor.tcpClients, *reactor.unixClients] == tried
    assert redis.state == "connecting: stopped"
