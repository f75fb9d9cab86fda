"""Nodes that speak different protocols at one Redis."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.logger import Logger

from rtwist.cluster.agreement import Agreement
from tests.redis.ends import connected
from tests.support.redis import Redis as Server


@ensureDeferred
async def test_all_say_that_others_speak_otherwise(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(Agreement, "_log", Logger(observer=told.append))
    async with connected(redis_server.url) as redis:
        first, same, other = (
            Agreement(redis, "test-agreement", protocol, 30.0) for protocol in ("classic", "classic", "sharded")
        )
        for _ in range(2):
            for one in (first, same, other):
                await one.look(0.0)
        assert (first.other, same.other, other.other) == ("sharded", "sharded", "classic")
        own = [(event["own"], event["other"]) for event in told]
        assert sorted(own) == [("classic", "sharded")] * 2 + [("sharded", "classic")]
        await redis.call("DEL", "{test-agreement}:protocol", "{test-agreement}:protocol:other")
        await other.look(1.0)
        assert other.other is None, "the others have gone"


@ensureDeferred
async def test_it_is_forgotten_when_nobody_looks_any_more(redis_server: Server) -> None:
    async with connected(redis_server.url) as redis:
        await Agreement(redis, "test-lease", "classic", 30.0).look(0.0)
        assert 0 < await redis.call("PTTL", "{test-lease}:protocol") <= 30_000
