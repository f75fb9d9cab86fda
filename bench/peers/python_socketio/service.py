"""The same service on python-socketio: uvicorn with uvloop, aio-pika, PyJWT, each as its own guide shows it.

`PORT`, `JWT_SECRET`, `RABBITMQ_URL`, `LOG_FILE` and `LOG_LEVEL` come from the environment. Prints "ready" once it
consumes. Logs what rtwist logs at the same level. SIGUSR2 collects garbage.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aio_pika
import jwt
import socketio
import uvicorn
from aio_pika.abc import AbstractIncomingMessage

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rules import DOMAINS, emissions_of

PREFETCH = 250
"""As many as rtwist takes by default."""

logging.basicConfig(
    filename=os.environ["LOG_FILE"],
    level=os.environ.get("LOG_LEVEL", "INFO").upper(),
    format="%(asctime)s %(levelname)s %(message)s",
)
for noisy in ("aio_pika", "aiormq", "uvicorn", "websockets"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
log = logging.getLogger("service")
sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=25, ping_timeout=60)
identities: dict[str, dict[str, Any]] = {}
sockets_of: dict[str, set[str]] = {}


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rooms_of(user: dict[str, Any]) -> list[str]:
    rooms = [f"user:{user['userId']}"]
    if company := user.get("companyId"):
        rooms.append(f"company:{company}")
    rooms += [f"shop:{shop}" for shop in user.get("shopIds", ())]
    roles = user.get("roles", ())
    return rooms + [role if role == "super_admin" else f"role:{role}" for role in roles]


async def tell_presence(event: str, user: dict[str, Any], sid: str) -> None:
    if company := user.get("companyId"):
        rooms = [f"company:{company}", "super_admin"]
        await sio.emit(event, {"userId": user["userId"], "timestamp": now()}, room=rooms, skip_sid=sid)
        log.info("emitted %s to %s", event, rooms)


@sio.event
async def connect(sid: str, _environ: Any, auth: Any) -> None:
    token = (auth or {}).get("token")
    if not token:
        raise socketio.exceptions.ConnectionRefusedError("Authentication required")
    try:
        user = jwt.decode(token, os.environ["JWT_SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        log.info("client %s refused", sid)
        raise socketio.exceptions.ConnectionRefusedError("Invalid or expired token") from None
    identities[sid] = user
    rooms = rooms_of(user)
    for room in rooms:
        await sio.enter_room(sid, room)
    log.info("user %s connected as %s to %s", user["userId"], sid, rooms)
    sio.start_background_task(welcome, sid, user, rooms)


async def welcome(sid: str, user: dict[str, Any], rooms: list[str]) -> None:
    news = {"message": "Connected to the event server", "socketId": sid, "userId": user["userId"]}
    await sio.emit("connected", {**news, "rooms": rooms, "timestamp": now()}, room=sid)
    others = sockets_of.setdefault(user["userId"], set())
    others.add(sid)
    if len(others) == 1:
        await tell_presence("presence:online", user, sid)


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    user = identities.pop(sid, None)
    if user is None:
        return
    log.info("user %s disconnected from %s: %s", user["userId"], sid, reason)
    others = sockets_of.get(user["userId"], set())
    others.discard(sid)
    if not others:
        sockets_of.pop(user["userId"], None)
        await tell_presence("presence:offline", user, sid)


def membership(event: str, prefix: str, *, joins: bool) -> None:
    """Answer `event` by joining or leaving the room that its argument names."""

    @sio.on(event)
    async def handle(sid: str, subject: Any) -> dict[str, Any]:
        room = f"{prefix}{subject}"
        await (sio.enter_room if joins else sio.leave_room)(sid, room)
        log.info("user %s on %s: %s %s", identities[sid]["userId"], sid, event, room)
        return {"success": True, "room": room}


for name, kind in (("order", "order:"), ("inventory", "product:"), ("transfer", "transfer:")):
    membership(f"subscribe_{name}", kind, joins=True)
    membership(f"unsubscribe_{name}", kind, joins=False)
membership("join_room", "", joins=True)
membership("leave_room", "", joins=False)


async def handle_message(message: AbstractIncomingMessage) -> None:
    key = message.routing_key or ""
    try:
        event = json.loads(message.body)
        for name, data, rooms in emissions_of(key, event, now):
            await sio.emit(name, data, room=rooms)
            log.info("emitted %s to %s, caused by %s %s", name, rooms or "everyone", key, event.get("id"))
        await message.ack()
    except Exception:
        log.exception("cannot be used")
        await message.nack(requeue=False)


async def main() -> None:
    config = uvicorn.Config(
        socketio.ASGIApp(sio), "127.0.0.1", int(os.environ["PORT"]), loop="uvloop", log_level="warning"
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, gc.collect)
    connection = await aio_pika.connect(os.environ["RABBITMQ_URL"])
    channel = await connection.channel(publisher_confirms=False)
    await channel.set_qos(PREFETCH)
    exchange = await channel.declare_exchange("events", aio_pika.ExchangeType.TOPIC, durable=True)
    # As rtwist's: a queue that keeps the order over several consumers takes RabbitMQ a little longer.
    arguments = {"x-single-active-consumer": True, "x-dead-letter-exchange": "websocket.events.dlx"}
    queue = await channel.declare_queue("websocket.events", durable=True, arguments=arguments)
    for domain in DOMAINS:
        await queue.bind(exchange, f"{domain}.#")
    await queue.consume(handle_message)
    print("ready", flush=True)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    asyncio.run(main())
