"""Lawful bytes, damaged at random (by a fixed seed): whatever comes of them, everybody else is served."""

from __future__ import annotations

import base64
import random

import pytest

from tests.protocol.peers import Polling, Server, SocketIo
from tests.support.damage import damaged
from tests.support.wire import (
    BINARY,
    CHUNKED,
    CLOSE,
    PING,
    TEXT,
    HttpClient,
    WebSocketClient,
    chunked,
    fragmented,
    frame,
    http_request,
)

ROUNDS = 150
SEEDS = range(3)

PACKETS = [
    b'42["message",1,"2",{"3":[true,null]}]',
    b'427["message-with-ack","x"]',
    b'452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
    b'40/custom,{"token":"abc"}',
    b'40/members,{"token":"good"}',
    b"41/custom,",
    b'430["answer"]',
    b"bAQIDBA==",
    b"3",
    b"6",
    b'42["message","\\ud800 \\u00e9 \xe2\x82\xac"]',
]


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_packets_over_websocket(sio: Server, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        with SocketIo.joined(sio) as client:
            for _ in range(dice.randint(1, 5)):
                text = damaged(dice.choice(PACKETS), dice)
                client.send_or_be_cut(frame(dice.choice([TEXT, TEXT, TEXT, BINARY]), text))
            client.is_silent(0.001)


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_packets_over_polling(sio: Server, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        with Polling(sio) as client:
            client.send("40")
            body = b"\x1e".join(dice.sample(PACKETS, 3))
            assert client.poster.request("POST", client.target, body=damaged(body, dice)).status in {200, 400}


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_frames(sio: Server, seed: int) -> None:
    dice = random.Random(seed)
    whole = frame(TEXT, PACKETS[0]) + fragmented(TEXT, [b'42["mes', b'sage"]']) + frame(PING, b"x")
    whole += frame(TEXT, PACKETS[2]) + frame(BINARY, b"one") + frame(BINARY, b"two") + frame(CLOSE, b"\x03\xe8")
    for _ in range(ROUNDS):
        with SocketIo.joined(sio) as client:
            client.send_or_be_cut(damaged(whole, dice))
            client.is_silent(0.001)


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_requests(sio: Server, seed: int) -> None:
    dice = random.Random(seed)
    origin = ("Origin", "https://a.example")
    with Polling(sio) as client:
        key = base64.b64encode(bytes(16)).decode()
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
        requests = [
            http_request("GET", sio.target(), [origin, ("Accept-Encoding", "gzip;q=0.5, deflate")]),
            http_request("POST", client.target, [("Content-Type", "text/plain")], b"3\x1e6"),
            http_request("POST", client.target, CHUNKED, chunked(b"3\x1e6" * 5, 3)),
            http_request("OPTIONS", sio.target(), [origin, ("Access-Control-Request-Headers", "x-a")]),
            http_request("GET", sio.target(transport="websocket"), [*upgrade, ("Sec-WebSocket-Key", key)]),
        ]
        for _ in range(ROUNDS):
            with HttpClient(sio.port) as other:
                other.send_or_be_cut(damaged(dice.choice(requests) + dice.choice(requests), dice))
                other.is_silent(0.002)


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_upgrades(sio: Server, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ROUNDS // 3):
        with Polling(sio) as client, WebSocketClient(sio.port) as websocket:
            client.getter.send_request("GET", client.target)
            frames = b"".join(frame(TEXT, text) for text in (b"2probe", b"5", b"40", PACKETS[0]))
            websocket.handshake(sio.target(transport="websocket", sid=client.sid))
            websocket.send_or_be_cut(damaged(frames, dice))
            if dice.random() < 0.5:
                client.poster.send_request("POST", client.target, body=damaged(PACKETS[0], dice))
            websocket.is_silent(0.002)
