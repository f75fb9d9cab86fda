"""Every bad end: each is noticed, told without a secret, and left behind once it is over."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface import directlyProvides, providedBy

from rtwist.errors import BusCut, RedisLost
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis, RedisOptions
from tests.redis.ends import connected, gate_to, started, until
from tests.support.certificates import Authority
from tests.support.redis import Redis as Server
from tests.support.redis import SentinelSet

PASSWORD = "Tr0ub4dor"


def hears(redis: Redis, *, sharded: bool = False) -> tuple[RedisBus, list[bytes]]:
    """A bus that hears of its own channel."""
    heard: list[bytes] = []
    bus = RedisBus(redis, sharded=sharded)
    bus.subscribe("news", lambda _, message: heard.append(message))
    return bus, heard


async def goes_on(redis: Redis, bus: RedisBus, heard: list[bytes]) -> None:
    """It is, or comes to be, connected, hears what it publishes, once and in order, and can ask."""
    await redis.when_connected()
    await redis.subscribed()
    heard.clear()
    since = bus.position
    for text in (b"a", b"b", b"c"):
        bus.publish("news", text)
    await bus.settled(since)
    await until(lambda: len(heard) >= 3)
    assert heard == [b"a", b"b", b"c"]
    assert await redis.call("ECHO", "007") == b"007"


@pytest.mark.parametrize("sharded", [False, True])
@ensureDeferred
async def test_redis_is_killed_and_comes_back(sharded: bool) -> None:
    with Server() as server:
        async with connected(server.url) as redis:
            bus, heard = hears(redis, sharded=sharded)
            await goes_on(redis, bus, heard)
            changes: list[bool] = []
            redis.watch(changes.append)
            server.kill()
            since = bus.position
            bus.publish("news", b"lost")
            with pytest.raises(BusCut):
                await bus.settled(since)
            await until(lambda: "refused" in redis.state)
            assert not redis.connected
            with pytest.raises(RedisLost):
                await redis.call("PING")
            with pytest.raises(BusCut):
                await bus.settled(since)
            server.start()
            await goes_on(redis, bus, heard)
            assert changes == [False, True]


@pytest.mark.parametrize("which", ["commands", "subscriber"])
@ensureDeferred
async def test_one_connection_is_killed_at_redis(redis_server: Server, which: str) -> None:
    name = f"rtwist-{which}"
    await until(lambda: not redis_server.clients(name))  # what an earlier test had is gone
    async with connected(redis_server.url, options=RedisOptions()) as redis:
        bus, heard = hears(redis)
        await goes_on(redis, bus, heard)
        (client,) = redis_server.clients(name)
        link: Any = getattr(redis, which)
        redis_server.cli("CLIENT", "KILL", "ID", client["id"])
        await until(lambda: link.made == 2)
        await goes_on(redis, bus, heard)
        assert redis.commands.made + redis.subscriber.made == 3


@pytest.mark.parametrize("at", [b"AUTH", b"SETNAME", b"SELECT", b"PING", b"PUBLISH", b"SUBSCRIBE"])
@ensureDeferred
async def test_the_connection_is_lost_in_the_middle_of_the_login(at: bytes) -> None:
    with Server({"requirepass": PASSWORD}) as server:
        async with gate_to(server.port) as (gate, port):
            gate.cut_at = at
            async with started(f"redis://:{PASSWORD}@127.0.0.1:{port}/3") as redis:
                bus, heard = hears(redis)
                await until(lambda: gate.cuts > 2)
                assert not redis.connected
                gate.cut_at = None
                await goes_on(redis, bus, heard)


@ensureDeferred
async def test_a_redis_that_stands_still_is_noticed() -> None:
    with Server() as server:
        async with connected(server.url) as redis:
            bus, heard = hears(redis)
            await goes_on(redis, bus, heard)
            server.signal(signal.SIGSTOP)
            since = bus.position
            bus.publish("news", b"late")
            answer = redis.call("ECHO", "late")
            with pytest.raises(RedisLost, match="did not answer within 1 s"):
                await answer
            with pytest.raises(BusCut):
                await bus.settled(since)
            await until(lambda: redis.commands.wire is None and redis.subscriber.wire is None)
            # The kernel still accepts connections for it.
            await until(lambda: "did not let us in within" in redis.commands.trouble)
            server.signal(signal.SIGCONT)
            await goes_on(redis, bus, heard)


@pytest.mark.parametrize(
    ("login", "said"),
    [(f":{PASSWORD}x@", "WRONGPASS"), (f"nobody:{PASSWORD}@", "WRONGPASS"), ("", "NOAUTH")],
)
@ensureDeferred
async def test_a_login_that_is_refused_is_told_without_the_password(login: str, said: str) -> None:
    with Server({"requirepass": PASSWORD}) as server, capturedLogs() as events:
        async with started(f"redis://{login}127.0.0.1:{server.port}") as redis:
            await until(lambda: said in redis.commands.trouble and said in redis.subscriber.trouble)
            assert redis.state.startswith("connecting: ")
    assert PASSWORD not in str(events)


@ensureDeferred
async def test_a_password_for_a_server_that_has_none_is_told_in_its_words(redis_server: Server) -> None:
    async with started(redis_server.url.replace("://", f"://:{PASSWORD}@")) as redis:
        await until(lambda: "without any password configured" in redis.commands.trouble)


@ensureDeferred
async def test_a_server_that_does_not_know_auth_does_not_get_the_password_into_the_log() -> None:
    with Server({"rename-command": "AUTH XAUTH"}) as server, capturedLogs() as events:
        async with started(f"redis://{PASSWORD}u:{PASSWORD}@127.0.0.1:{server.port}") as redis:
            await until(lambda: redis.commands.trouble.endswith(": ERR"))
    assert PASSWORD not in str(events)


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ("~* &* +@all -publish", "NOPERM.*publish"),
        ("~* &* +@all -subscribe", "NOPERM.*subscribe"),
        ("~* &other +@all", "NOPERM.*channel"),
        ("~* &rtwist-echo:* +@all", "'news'.*NOPERM.*channel"),
    ],
)
@ensureDeferred
async def test_a_user_without_a_right_is_told_which(rights: str, said: str) -> None:
    with Server({"user": f"u on >{PASSWORD} {rights}"}) as server:
        async with started(f"redis://u:{PASSWORD}@127.0.0.1:{server.port}") as redis:
            hears(redis)
            await until(lambda: re.search(said, redis.state))
            assert not redis.connected
            server.cli("ACL", "SETUSER", "u", "allcommands", "allchannels")
            await redis.when_connected()


@ensureDeferred
async def test_a_right_that_is_taken_away_ends_the_connection() -> None:
    with Server({"user": f"u on >{PASSWORD} ~* &* +@all"}) as server:
        async with connected(f"redis://u:{PASSWORD}@127.0.0.1:{server.port}") as redis:
            bus, heard = hears(redis)
            await goes_on(redis, bus, heard)
            server.cli("ACL", "SETUSER", "u", "resetchannels", "&rtwist-echo:*")
            await until(lambda: "NOPERM" in redis.state)


@ensureDeferred
async def test_tls_with_the_right_authority(redis_server: Server) -> None:
    async with connected(redis_server.tls_url, ca_file=redis_server.ca_file) as redis:
        await goes_on(redis, *hears(redis))


@pytest.mark.parametrize(
    ("host", "known", "said"),
    [("127.0.0.1", True, "is not for 127.0.0.1"), ("localhost", False, "certificate verify failed")],
)
@ensureDeferred
async def test_tls_that_cannot_be_trusted(
    redis_server: Server, tmp_path: Path, host: str, known: bool, said: str
) -> None:
    ca_file = redis_server.ca_file
    if not known:
        ca_file = tmp_path / "ca.pem"
        ca_file.write_bytes(Authority("somebody else").certificate_pem)
    url = f"rediss://{host}:{redis_server.tls_port}"
    async with started(url, ca_file=ca_file) as redis:
        await until(lambda: said in redis.state)
        assert "see --redis-ca-file" in redis.state


@ensureDeferred
async def test_a_unix_socket(redis_server: Server) -> None:
    async with connected(f"unix://{redis_server.path}") as redis:
        await goes_on(redis, *hears(redis))


@ensureDeferred
async def test_a_deaf_subscription_ends_the_connection(redis_server: Server) -> None:
    async with connected(redis_server.url) as redis:
        bus, heard = hears(redis)
        await goes_on(redis, bus, heard)
        wire = redis.subscriber.wire
        assert wire is not None
        wire.call("UNSUBSCRIBE", "news")  # behind the back of what is kept of it
        await until(lambda: redis.subscriber.made == 2)
        assert "deaf" in str(wire.reason)
        await goes_on(redis, bus, heard)


@ensureDeferred
async def test_a_master_that_dies_is_followed_by_another() -> None:
    with SentinelSet() as sentinels:
        async with connected(sentinels.url) as redis:
            bus, heard = hears(redis)
            await goes_on(redis, bus, heard)
            assert redis.commands.wire is not None
            assert redis.commands.wire.where == f"127.0.0.1:{sentinels.master.port}"
            sentinels.master.kill()
            await until(lambda: not redis.connected)
            await goes_on(redis, bus, heard)
            assert redis.commands.wire.where == f"127.0.0.1:{sentinels.replica.port}"


@ensureDeferred
async def test_a_server_that_is_not_the_master_is_not_believed_to_be_it() -> None:
    sentinels = SentinelSet()
    try:
        sentinels.master.start()
        sentinels.replica.start()
        port = sentinels.ports[0]
        sentinels.start_sentinel(port, sentinels.replica.port)
        async with started(f"redis+sentinel://127.0.0.1:{port}/{sentinels.service}") as redis:
            await until(lambda: "is not the master, but slave" in redis.state)
        async with started(f"redis+sentinel://127.0.0.1:{port}/other") as redis:
            await until(lambda: "knows no service 'other'" in redis.state)
    finally:
        sentinels.stop()


class OnAClock:
    """The reactor, but that only the test moves its clock on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.callLater = self.clock.callLater
        self.seconds = self.clock.seconds
        directlyProvides(self, providedBy(installed))

    def __getattr__(self, name: str) -> Any:
        return getattr(installed, name)


@ensureDeferred
async def test_who_is_stopped_the_moment_it_is_connected_does_not_come_back(redis_server: Server) -> None:
    stopped: Any = OnAClock()
    redis = Redis(stopped, read_url(redis_server.url))
    ended: list[bool] = []

    def stop(connected: bool) -> None:
        ended.append(connected)
        if connected:
            redis.stopService()

    redis.watch(stop)
    redis.startService()
    await until(lambda: ended == [True, False])
    assert redis.state == "connecting: stopped"
    assert stopped.clock.getDelayedCalls() == [], "nothing is to be tried again"
