"""Every option and environment name, which of them counts, and what is said about a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtwist.auth.identity import ClaimNames
from rtwist.auth.policy import Kind
from rtwist.auth.settings import TokenSettings
from rtwist.cluster.mode import Mode
from rtwist.cluster.outage import WhileAway
from rtwist.config import MIN_KEY_CHARS, Config, read_broker, read_config
from rtwist.engineio.nodes import Address
from rtwist.errors import ConfigError
from rtwist.settings import SETTINGS, Setting
from tests.support.keys import P256, RSA, pem
from tests.support.processes import ROOT

SECRET = "a-secret-of-more-than-thirty-two-bytes"
URL = "amqp://shop:the-password@mq.example/live"
KEY = {"JWT_SECRET": SECRET}
URLS = {
    "RABBITMQ_URL": URL,
    "REDIS_URL": "rediss://localhost",
    "RTWIST_AUTHORIZATION_URL": "http://backend.example/",
}
ROUTES = str(ROOT / "examples" / "routes.toml")

Row = tuple[str, str, str, Any]
BROKER_ROWS: list[Row] = [
    ("rabbitmq-ca-file", ROUTES, "broker.ca_file", Path(ROUTES)),
    ("rabbitmq-exchange", "shop events", "broker.exchange", "shop events"),
    ("rabbitmq-queue", "push", "broker.queue", "push"),
    ("rabbitmq-bindings", "order.# , payment.*,", "broker.bindings", ("order.#", "payment.*")),
    ("rabbitmq-bind-rules", "yes", "bind_rules", True),
    ("rabbitmq-dead-letter-exchange", "push.dlx", "broker.dead_letter_exchange", "push.dlx"),
    ("rabbitmq-dead-letter-queue", "push.dead", "broker.dead_letter_queue", "push.dead"),
    ("rabbitmq-declare", "check", "broker.declare", "check"),
    ("rabbitmq-queue-type", "quorum", "broker.queue_type", "quorum"),
    ("rabbitmq-prefetch", "10", "broker.prefetch", 10),
    ("rabbitmq-ack-batch", "1", "broker.ack_batch", 1),
    ("rabbitmq-retries", "0", "broker.retries", 0),
    ("rabbitmq-max-deliveries", "5", "broker.max_deliveries", 5),
    ("rabbitmq-max-body", "5000", "broker.max_body", 5000),
    ("rabbitmq-heartbeat", "5", "broker.heartbeat", 5),
    ("rabbitmq-settle", "2.5", "broker.settle", 2.5),
    ("drain-delay", "5", "drain.delay", 5.0),
    ("drain-rate", "50", "drain.rate", 50),
    ("drain-timeout", "50", "drain.timeout", 50.0),
    ("to-broker", "yes", "broker.to_broker", True),
]  # fmt: skip
CLUSTER_ROWS: list[Row] = [
    ("redis-ca-file", ROUTES, "cluster.ca_file", Path(ROUTES)),
    ("redis-away", "local", "cluster.away", WhileAway.LOCAL),
    ("redis-lease", "20", "cluster.lease", 20.0),
    ("redis-heartbeat", "1.5", "cluster.heartbeat", 1.5),
    ("redis-timeout", "2", "cluster.timeout", 2.0),
    ("redis-check", "3", "cluster.check", 3.0),
    ("redis-max-waiting", "100", "cluster.max_waiting", 100),
    ("redis-max-waiting-bytes", "1000", "cluster.max_waiting_bytes", 1000),
    ("redis-keep", "30", "cluster.keep", 30.0),
    ("redis-keep-bytes", "5000", "cluster.keep_bytes", 5000),
    ("redis-prefix", "shop:events", "cluster.prefix", "shop:events"),
    ("cluster", "sharded", "cluster.protocol", "sharded"),
    ("cluster-key", "shop.io", "cluster.key", "shop.io"),
    ("cluster-subscription-mode", "static", "cluster.mode", Mode.STATIC),
    ("cluster-requests-timeout", "1", "cluster.requests_timeout", 1.0),
    ("advertise", "https://[::1]:1", "cluster.advertise", Address("::1", 1, secure=True)),
    ("advertise-ca-file", ROUTES, "cluster.advertise_ca_file", Path(ROUTES)),
    ("forward-timeout", "2", "cluster.forward_timeout", 2.0),
    ("max-forwarded", "5", "cluster.max_forwarded", 5),
    ("cluster-max-bytes", "1000", "cluster.limits.max_bytes", 1000),
    ("cluster-max-depth", "9", "cluster.limits.max_depth", 9),
    ("cluster-max-rooms", "8", "cluster.limits.max_rooms", 8),
    ("cluster-max-room-length", "7", "cluster.limits.max_room_length", 7),
    ("cluster-max-id-length", "30", "cluster.limits.max_id_length", 30),
    ("workers", "64", "workers", 64),
]
AUTHORIZATION_URL = "https://backend.example/may-join"
AUTHORIZATION_ROWS: list[Row] = [
    ("authorization-url", AUTHORIZATION_URL, "authorization.url", AUTHORIZATION_URL),
    ("authorization-url", "http://[::1]:80/a?b=c", "authorization.url", "http://[::1]:80/a?b=c"),
    ("authorization-for", "order, product", "authorization.kinds", (Kind.ORDER, Kind.PRODUCT)),
    ("authorization-timeout", "0.5", "authorization.timeout", 0.5),
    ("authorization-ttl", "10", "authorization.ttl", 10.0),
    ("authorization-cache", "5", "authorization.cache", 5),
    ("authorization-concurrency", "2", "authorization.concurrency", 2),
]
ROWS: list[Row] = [
    ("port", "8010", "listen", ("tcp:8010",)),
    ("port", "0", "listen", ("tcp:0",)),
    ("jwt-audience", "web", "tokens.audience", ("web",)),
    ("jwt-audience", " web , app ,", "tokens.audience", ("web", "app")),
    ("jwt-issuer", "https://id.example", "tokens.issuer", ("https://id.example",)),
    ("jwt-leeway", "1.5", "tokens.leeway", 1.5),
    ("jwt-leeway", "0", "tokens.leeway", 0.0),
    ("jwt-jwks-max-age", "60", "tokens.jwks_max_age", 60.0),
    ("jwt-required-claims", "jti, iat", "tokens.required_claims", ("jti", "iat")),
    ("jwt-max-bytes", "4096", "tokens.max_bytes", 4096),
    ("expiry-warning", "120", "lease.warning", 120.0),
    ("expiry-warning", "0", "lease.warning", 0.0),
    ("expiry-grace", "0", "lease.grace", 0.0),
    ("revocation-window", "86400", "revocation_window", 86400.0),
    ("revocation-size", "50", "revocation_size", 50),
    ("claim-user", "uid,sub", "tokens.claim_names.user", ("uid", "sub")),
    ("claim-company", "org", "tokens.claim_names.company", ("org",)),
    ("claim-shops", "stores", "tokens.claim_names.shops", ("stores",)),
    ("claim-roles", "groups", "tokens.claim_names.roles", ("groups",)),
    ("claim-rooms", "grants", "tokens.claim_names.rooms", ("grants",)),
    ("custom-rooms", "granted", "custom_rooms", "granted"),
    *AUTHORIZATION_ROWS,
    ("cors-origins", "https://shop.example", "socketio.cors_origins", ("https://shop.example",)),
    ("cors-origins", "https://a.example,http://b.example:3000/", "socketio.cors_origins",
     ("https://a.example", "http://b.example:3000/")),
    ("cors-origins", "https://a.example,*", "socketio.cors_origins", "*"),
    ("path", "/live/", "socketio.path", "/live/"),
    ("path", "live", "socketio.path", "/live/"),
    ("ping-interval", "10", "socketio.ping_interval", 10.0),
    ("ping-timeout", "0.5", "socketio.ping_timeout", 0.5),
    ("connect-timeout", "3", "socketio.connect_timeout", 3.0),
    ("max-payload", "5000", "socketio.max_payload", 5000),
    ("max-buffered", "70000", "socketio.max_buffered", 70000),
    ("max-buffered-age", "2.5", "socketio.max_buffered_age", 2.5),
    ("max-buffered-total", "90000", "socketio.max_buffered_total", 90000),
    ("max-incoming-total", "80000", "socketio.max_incoming_total", 80000),
    ("slow-consumer", "presence:*=drop, position = latest:id+floor,inventory:stock_changed=disconnect",
     "socketio.slow_consumers", {
         "inventory:stock_changed": "disconnect", "presence:*": "drop", "typing": "latest:roomId+userId",
         "position": "latest:id+floor",
     }),
    ("max-rooms", "5", "max_rooms", 5),
    ("max-packet-bytes", "5000", "socketio.max_packet_bytes", 5000),
    ("max-room-name", "300", "max_room_name", 300),
    ("max-typing-per-second", "7", "max_typing", 7),
    ("max-typing-per-second", "0", "max_typing", None),
    ("max-refreshes-per-second", "3", "lease.max_refreshes", 3),
    ("max-refreshes-per-second", "0", "lease.max_refreshes", None),
    ("max-payload-packets", "7", "socketio.max_payload_packets", 7),
    ("max-fragments", "8", "socketio.max_fragments", 8),
    ("max-attachments", "0", "socketio.max_attachments", 0),
    ("max-depth", "200", "socketio.max_depth", 200),
    ("max-queued-events", "3", "socketio.max_queued_events", 3),
    ("max-queued-bytes", "4000", "socketio.max_queued_bytes", 4000),
    ("max-pending-acks", "6", "socketio.max_pending_acks", 6),
    ("ack-timeout", "1.5", "socketio.ack_timeout", 1.5),
    ("ack-timeout", "0", "socketio.ack_timeout", None),
    ("attachment-timeout", "4", "socketio.attachment_timeout", 4.0),
    ("refused-timeout", "2", "socketio.refused_timeout", 2.0),
    ("upgrade-timeout", "3", "socketio.upgrade_timeout", 3.0),
    ("close-timeout", "2", "socketio.close_timeout", 2.0),
    ("poll-close-timeout", "5", "socketio.poll_close_timeout", 5.0),
    ("max-connections", "50", "socketio.max_connections", 50),
    ("max-connections-per-address", "7", "socketio.max_connections_per_address", 7),
    ("max-connections-per-address", "0", "socketio.max_connections_per_address", None),
    ("max-connections-per-user", "3", "max_connections_per_user", 3),
    ("max-connections-per-user", "0", "max_connections_per_user", None),
    ("max-handshakes-per-second", "9", "socketio.max_handshakes_per_second", 9),
    ("max-handshakes-per-second-per-address", "0", "socketio.max_handshakes_per_second_per_address", None),
    ("max-packets-per-second", "10", "socketio.max_packets_per_second", 10),
    ("max-bytes-per-second", "9000", "socketio.max_bytes_per_second", 9000),
    ("max-events-per-second", "0", "socketio.max_events_per_second", None),
    ("max-requests", "10", "socketio.max_requests", 10),
    ("trusted-proxies", "10.0.0.0/8, ::1,unix", "socketio.trusted_proxies", ("10.0.0.0/8", "::1", "unix")),
    ("header-timeout", "2", "socketio.header_timeout", 2.0),
    ("body-timeout", "2.5", "socketio.body_timeout", 2.5),
    ("idle-timeout", "7", "socketio.idle_timeout", 7.0),
    ("flood-timeout", "9", "socketio.flood_timeout", 9.0),
    ("unread-timeout", "8", "socketio.unread_timeout", 8.0),
    ("websocket-compression", "yes", "socketio.websocket_compression", True),
    ("max-orders", "7", "max_orders", 7),
    ("dedup-window", "60", "dedup_window", 60.0),
    ("dedup-size", "9", "dedup_size", 9),
    ("state-directory", "/:/none", "state_directory", Path("/")),
    ("routes", ROUTES, "routes", Path(ROUTES)),
    ("cookie", "io", "socketio.cookie.name", "io"),
    *BROKER_ROWS,
    *CLUSTER_ROWS,
    ("client-dist", "/", "socketio.client_dist", Path("/")),
    ("log-format", "json", "log_format", "json"),
    ("log-level", "debug", "log_level", "debug"),
]  # fmt: skip
DEFAULTS: dict[str, Any] = {
    "listen": ("tcp:8009",),
    "tokens.audience": (),
    "tokens.issuer": (),
    "tokens.leeway": 0.0,
    "tokens.claim_names": ClaimNames(),
    "tokens.public_keys": (),
    "tokens.previous_secret": None,
    "tokens.jwks_url": None,
    "tokens.jwks_max_age": 600.0,
    "tokens.required_claims": (),
    "tokens.max_bytes": 8192,
    "lease.warning": 60.0,
    "lease.grace": 5.0,
    "lease.max_refreshes": 1,
    "revocation_window": 2_592_000.0,
    "revocation_size": 100_000,
    "custom_rooms": "open",
    "authorization.kinds": (Kind.CUSTOM, Kind.ORDER, Kind.TRANSFER),
    "authorization.secret": None,
    "authorization.timeout": 5.0,
    "authorization.ttl": 60.0,
    "authorization.cache": 10_000,
    "authorization.concurrency": 20,
    "api_key": None,
    "max_rooms": 5000,
    "max_connections_per_user": 5000,
    "max_orders": 100_000,
    "dedup_window": 600.0,
    "dedup_size": 100_000,
    "state_directory": None,
    "routes": None,
    "bind_rules": False,
    "broker.exchange": "events",
    "broker.queue": "websocket.events",
    "broker.dead_letter_exchange": "websocket.events.dlx",
    "broker.dead_letter_queue": "websocket.events.dead",
    "broker.bindings": (
        "order.#", "payment.#", "inventory.#", "product.#", "notification.#", "user.#", "company.#", "shop.#",
        "transfer.#", "announcement.#",
    ),
    "broker.declare": "declare",
    "broker.queue_type": "classic",
    "broker.settle": 0.0,
    "broker.to_broker": False,
    "log_format": "text",
    "log_level": "info",
    "dev": False,
    "socketio.path": "/socket.io/",
    "socketio.ping_interval": 25.0,
    "socketio.ping_timeout": 60.0,
    "socketio.connect_timeout": 45.0,
    "socketio.max_payload": 1_000_000,
    "socketio.max_packet_bytes": 10_000_000,
    "max_room_name": 200,
    "max_typing": 5000,
    "socketio.max_payload_packets": 50_000,
    "socketio.max_fragments": 1024,
    "socketio.max_attachments": 10,
    "socketio.max_depth": 64,
    "socketio.max_queued_events": 1000,
    "socketio.max_queued_bytes": 4_000_000,
    "socketio.max_pending_acks": 10_000,
    "socketio.ack_timeout": 600.0,
    "socketio.attachment_timeout": 30.0,
    "socketio.refused_timeout": 5.0,
    "socketio.upgrade_timeout": 10.0,
    "socketio.close_timeout": 5.0,
    "socketio.poll_close_timeout": 30.0,
    "socketio.max_connections": None,
    "socketio.max_connections_per_address": 10_000,
    "socketio.max_handshakes_per_second": 2000,
    "socketio.max_handshakes_per_second_per_address": 500,
    "socketio.max_packets_per_second": 1000,
    "socketio.max_bytes_per_second": 1_000_000,
    "socketio.max_events_per_second": 300,
    "socketio.max_requests": 10_000,
    "socketio.trusted_proxies": (),
    "socketio.header_timeout": 10.0,
    "socketio.body_timeout": 30.0,
    "socketio.idle_timeout": 60.0,
    "socketio.unread_timeout": 30.0,
    "socketio.flood_timeout": 60.0,
    "socketio.websocket_compression": False,
    "socketio.max_buffered": 16_000_000,
    "socketio.max_buffered_age": 30.0,
    "socketio.max_buffered_total": 256_000_000,
    "socketio.max_incoming_total": 256_000_000,
    "socketio.slow_consumers": {
        "inventory:stock_changed": "latest:productId", "presence:*": "latest:userId",
        "typing": "latest:roomId+userId",
    },
    "socketio.cors_origins": None,
    "socketio.cookie": None,
    "socketio.client_dist": None,
}  # fmt: skip
DURATIONS = (
    "ping-interval", "ping-timeout", "connect-timeout", "dedup-window", "revocation-window", "jwt-jwks-max-age",
    "max-buffered-age", "attachment-timeout", "refused-timeout", "upgrade-timeout", "close-timeout",
    "poll-close-timeout",
    "authorization-timeout", "authorization-ttl",
)  # fmt: skip
COUNTS = (
    "max-payload", "max-buffered", "max-buffered-total", "max-incoming-total", "max-rooms", "max-orders",
    "dedup-size", "revocation-size", "jwt-max-bytes", "max-room-name", "max-payload-packets", "max-fragments",
    "max-queued-events", "max-queued-bytes", "max-pending-acks",
    "authorization-cache", "authorization-concurrency",
)  # fmt: skip
WRONG: list[tuple[str, str]] = [
    *(("max-connections-per-user", text) for text in ("x", "-1", "1.5", "")),
    *(("max-typing-per-second", text) for text in ("x", "-1", "1.5")),
    *(("max-refreshes-per-second", text) for text in ("x", "-1", "1.5")),
    *(("trusted-proxies", text) for text in ("10.0.0.0/99", "proxy.example", ",", "10.0.0.1 10.0.0.2")),
    *(("max-attachments", text) for text in ("x", "-1", "1.5")),
    *(("max-depth", text) for text in ("x", "0", "201", "1.5")),
    *(("ack-timeout", text) for text in ("x", "-1", "nan", "inf", "1e9")),
    *(("port", text) for text in ("x", "-1", "65536", "80.5", "")),
    *(("jwt-leeway", text) for text in ("x", "-1", "301", "nan", "inf")),
    *((name, text) for name in DURATIONS for text in ("x", "0", "-1", "nan", "inf", "1e9")),
    *((name, text) for name in COUNTS for text in ("x", "0", "-1", "1.5", "1e3")),
    *((name, text) for name in ("expiry-warning", "expiry-grace") for text in ("x", "-1", "nan", "inf", "1e9")),
    ("jwt-required-claims", ","),
    *(
        ("jwt-jwks-url", text)
        for text in (
            "x",
            "ftp://id.example/keys",
            "https://",
            "https:///keys",
            "https://id.example:x/",
            "https://ü/",
            "https://me:word@id.example/keys",
            "https://id.example/keys#1",
            "https://id.example/a b",
            "https://[",
        )
    ),
    *(("cors-origins", text) for text in ("shop.example", "https://shop.example/page", "null")),
    *(
        ("slow-consumer", text)
        for text in (
            ",",
            "typing",
            "=drop",
            "a*b=drop",
            "typing=",
            "typing=keep",
            "typing=latest:",
            "typing=latest:a+",
        )
    ),
    ("client-dist", "/no/such/folder"),
    ("routes", "/no/such/file"),
    ("routes", "/"),
    ("log-format", "xml"),
    ("log-level", "loud"),
    *((f"claim-{name}", ",") for name in ("user", "company", "roles", "shops", "rooms")),
    ("custom-rooms", "some"),
    *(("authorization-for", text) for text in (",", "orders", "order,user")),
    *(("authorization-url", text) for text in ("backend.example", "ftp://a", "http://", "http:///a", "http://ü")),
    *(("authorization-url", text) for text in ("http://a b", "http://a/#b", "http://a:x", "http://a:99999")),
    *(("authorization-url", text) for text in ("https://user:password@a", "http://a\n", "http://a:0")),
    *(("cookie", text) for text in ("a b", "a;b", "a=b", "ü", "a\nb")),
    *(
        (f"rabbitmq-{name}", text)
        for name in ("exchange", "queue", "dead-letter-exchange", "dead-letter-queue")
        for text in (" ", "a\nb", "amq.x", "é" * 128)
    ),
    *(("rabbitmq-bindings", text) for text in (",", "order.#,a\tb", "x" * 256)),
    ("rabbitmq-ca-file", "/no/such/file"),
    ("rabbitmq-declare", "maybe"),
    ("rabbitmq-queue-type", "stream"),
    *((f"rabbitmq-{name}", text) for name in ("ack-batch", "max-deliveries", "max-body") for text in ("x", "0")),
    *(("rabbitmq-prefetch", text) for text in ("x", "0", "-1", "65536", "1.5")),
    *(("rabbitmq-retries", text) for text in ("x", "11", "-1", "1.5")),
    *(("rabbitmq-settle", text) for text in ("x", "3601", "-1", "nan")),
    ("state-directory", "/no/such/folder"),
    *(
        (f"redis-{name}", text)
        for name in ("lease", "heartbeat", "timeout", "check")
        for text in ("x", "0", "-1")
    ),
    *((f"redis-{name}", text) for name in ("keep", "keep-bytes") for text in ("x", "0", "-1")),
    *((f"redis-{name}", text) for name in ("max-waiting", "max-waiting-bytes") for text in ("x", "0", "-1")),
    *((name, text) for name in ("redis-prefix", "cluster-key") for text in ("a b", "x" * 101, "{a}", "a*", "ä")),
    ("redis-ca-file", "/no/such/file"),
    ("redis-away", "wait"),
    *(("advertise", text) for text in ("10.0.0.5:8009", "http://10.0.0.5", "http://0.0.0.0:1", "ftp://x:1")),
    ("advertise-ca-file", "/no/such/file"),
    *(("forward-timeout", text) for text in ("x", "0", "-1")),
    *(("max-forwarded", text) for text in ("x", "0", "-1")),
    ("cluster", "streams"),
    ("cluster-subscription-mode", "on"),
    *((f"cluster-max-{name}", text) for name in ("bytes", "depth", "rooms") for text in ("x", "0", "-1")),
    *((f"cluster-max-{name}-length", text) for name in ("room", "id") for text in ("x", "0", "-1")),
    *(("cluster-requests-timeout", text) for text in ("x", "0", "-1")),
    *(("workers", text) for text in ("x", "0", "-1", "65", "1.5")),
    *(("rabbitmq-heartbeat", text) for text in ("x", "65536", "-1", "1.5")),
    *(("path", text) for text in ("/", "//", "a b", "/a?b", "ü")),
]

OLD_NAMES = {
    "PORT": "port", "JWT_SECRET": "jwt-secret", "FRONTEND_URL": "cors-origins", "API_KEY": "api-key",
    "RABBITMQ_URL": "rabbitmq-url", "REDIS_URL": "redis-url",
}  # fmt: skip
PLACES = {
    "jwt-secret": "tokens.secret",
    "jwt-previous-secret": "tokens.previous_secret",
    "api-key": "api_key",
}
SECRETS = [setting for setting in SETTINGS if setting.name in PLACES]
NAMED = {setting.name: setting for setting in SETTINGS}


def value_at(config: Config, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def read(given: dict[str, Any] | None = None, environment: dict[str, str] | None = None, **more: Any) -> Config:
    return read_config(given or {}, {**KEY, **URLS, **(environment or {})}, dev=more.get("dev", False))


def error(given: dict[str, Any] | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(given, environment)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("path", "value"), DEFAULTS.items())
def test_defaults(path: str, value: Any) -> None:
    assert value_at(read(), path) == value


@pytest.mark.parametrize(("name", "text", "path", "value"), ROWS)
class TestEveryOption:
    def test_on_the_command_line(self, name: str, text: str, path: str, value: Any) -> None:
        assert value_at(read({name: text}), path) == value

    def test_in_the_environment(self, name: str, text: str, path: str, value: Any) -> None:
        for variable in NAMED[name].env_names:
            assert value_at(read({}, {variable: text}), path) == value

    def test_the_command_line_beats_the_environment(self, name: str, text: str, path: str, value: Any) -> None:
        for variable in NAMED[name].env_names:
            beaten = "no" if NAMED[name].flag else "never read"
            assert value_at(read({name: text}, {variable: beaten}), path) == value


def test_every_setting_but_the_secrets_is_in_the_table() -> None:
    assert {name for name, *_ in ROWS} == {setting.name for setting in SETTINGS if not setting.secret} - {
        "listen",
        "env-file",  # what it says is read like the environment: tests/service/test_reloading.py
        "jwt-jwks-url",
        "jwt-jwks-allow-http",
    }


class TestTheBroker:
    def test_there_is_none_without_a_url(self) -> None:
        assert read({}, {"RABBITMQ_URL": ""}).broker is None

    @pytest.mark.parametrize("variable", ["RABBITMQ_URL", "RTWIST_RABBITMQ_URL"])
    def test_its_url_from_the_environment_or_from_a_file(self, variable: str, tmp_path: Path) -> None:
        file = tmp_path / "url"
        file.write_text(f"{URL},amqps://second.example\n")
        for found in (
            read_config({}, {**KEY, variable: URL}, dev=False),
            read_config({}, {**KEY, f"{variable}_FILE": str(file)}, dev=False),
            read_config({"rabbitmq-url-file": str(file)}, KEY, dev=False),
        ):
            assert found.broker is not None
            address = found.broker.addresses[0]
            assert (address.host, address.user, address.vhost) == ("mq.example", "shop", "live")
            assert "the-password" not in repr(found)

    @pytest.mark.parametrize("url", ["mq.example", "amqp://a:the-password@mq:port", "http://a:the-password@mq"])
    def test_a_wrong_url_is_never_quoted(self, url: str, tmp_path: Path) -> None:
        file = tmp_path / "url"
        file.write_text(url)
        for said in (error({}, {"RABBITMQ_URL": url}), error({"rabbitmq-url-file": str(file)})):
            assert said.startswith(("RABBITMQ_URL cannot be used: ", "--rabbitmq-url-file cannot be used: "))
            assert "amqp://user:password@host:5672/vhost" in said
            assert "the-password" not in said

    def test_publishing_needs_one(self) -> None:
        assert "set RABBITMQ_URL" in error({"to-broker": True}, {"RABBITMQ_URL": ""})

    def test_a_flag_in_the_environment_is_yes_or_no(self) -> None:
        broker = read({}, {"RTWIST_TO_BROKER": "no"}).broker
        assert broker is not None
        assert not broker.to_broker
        assert error({}, {"RTWIST_TO_BROKER": "maybe"}).startswith(
            "RTWIST_TO_BROKER is 'maybe': must be yes or no"
        )

    def test_tools_read_it_without_the_other_settings(self) -> None:
        assert read_broker({}, {"RABBITMQ_URL": URL, "RTWIST_RABBITMQ_QUEUE": "push"}).queue == "push"
        with pytest.raises(ConfigError, match="set RABBITMQ_URL"):
            read_broker({}, {})


class TestTheAuthorizationUrl:
    def test_there_is_none_unless_it_is_named(self) -> None:
        assert read({}, {"RTWIST_AUTHORIZATION_URL": ""}).authorization is None

    @pytest.mark.parametrize("variable", ["AUTHORIZATION_SECRET", "RTWIST_AUTHORIZATION_SECRET"])
    def test_its_secret_from_the_environment_or_from_a_file(self, variable: str, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("abc-._~+/09==\n")
        for found in (
            read({}, {variable: "abc-._~+/09=="}),
            read({}, {f"{variable}_FILE": str(file)}),
            read({"authorization-secret-file": str(file)}),
        ):
            assert value_at(found, "authorization.secret") == "abc-._~+/09=="
            assert "abc-" not in repr(found)

    @pytest.mark.parametrize("secret", ["two words", "a\nb", "ü", "a=b", "=", '"a"'])
    def test_a_secret_that_is_no_bearer_token_is_never_quoted(self, secret: str, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text(secret)
        fault = "it must consist of letters, digits and - . _ ~ + / only, with = at the end"
        assert error({}, {"AUTHORIZATION_SECRET": secret}) == f"AUTHORIZATION_SECRET cannot be used: {fault}"
        said = error({"authorization-secret-file": str(file)})
        assert said == f"--authorization-secret-file cannot be used: {fault}"


def test_every_setting_has_an_environment_name_of_its_own() -> None:
    names = [name for setting in SETTINGS for name in setting.env_names]
    assert len(names) == len(set(names))
    assert all("RTWIST_" + setting.name.upper().replace("-", "_") in setting.env_names for setting in SETTINGS)


@pytest.mark.parametrize(("variable", "name"), OLD_NAMES.items())
def test_the_names_of_the_service_before_work(variable: str, name: str) -> None:
    assert NAMED[name].env_names[0] == variable


def test_an_empty_variable_is_as_good_as_none() -> None:
    needed = ("jwt-secret", "rabbitmq-url", "redis-url", "authorization-url")
    empty = {name: "" for setting in SETTINGS if setting.name not in needed for name in setting.env_names}
    assert read({}, empty) == read()


class TestListening:
    def test_several_endpoints_on_the_command_line(self) -> None:
        assert read({"listen": ["tcp:1", "tcp:2"]}).listen == ("tcp:1", "tcp:2")

    def test_several_endpoints_in_the_environment(self) -> None:
        assert read({}, {"RTWIST_LISTEN": "tcp:1 unix:/run/x"}).listen == ("tcp:1", "unix:/run/x")

    def test_they_beat_the_port(self) -> None:
        assert read({"listen": ["tcp:1"], "port": "2"}, {"PORT": "3"}).listen == ("tcp:1",)
        assert read({"listen": []}, {"PORT": "3"}).listen == ("tcp:3",)


class TestSecrets:
    @pytest.mark.parametrize("setting", SECRETS, ids=lambda setting: setting.name)
    def test_from_the_environment(self, setting: Setting) -> None:
        for variable in setting.env_names:
            config = read_config({}, {"RTWIST_JWT_SECRET": SECRET, variable: "from the environment"}, dev=False)
            assert value_at(config, PLACES[setting.name]) == "from the environment"

    @pytest.mark.parametrize("setting", SECRETS, ids=lambda setting: setting.name)
    def test_from_a_file(self, setting: Setting, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("  from the file\n")
        field = PLACES[setting.name]
        given = read({f"{setting.name}-file": str(file)}, {setting.env_names[0]: "from the environment"})
        assert value_at(given, field) == "from the file"
        for variable in setting.env_names:
            config = read_config({}, {f"{variable}_FILE": str(file)}, dev=True)
            assert value_at(config, field) == "from the file"

    @pytest.mark.parametrize("setting", SECRETS, ids=lambda setting: setting.name)
    def test_never_as_an_argument(self, setting: Setting) -> None:
        assert setting.option == f"{setting.name}-file"

    @pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
    def test_a_file_that_cannot_be_used(self, tmp_path: Path, content: bytes | None) -> None:
        file = tmp_path / "secret"
        if content is not None:
            file.write_bytes(content)
        text = error({"api-key-file": str(file)})
        assert text.startswith(f"--api-key-file is '{file}', which ")
        assert error({}, {"API_KEY_FILE": str(file)}).startswith(f"API_KEY_FILE is '{file}', which ")

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        assert error({"jwt-secret-file": str(tmp_path)}).startswith(f"--jwt-secret-file is '{tmp_path}', which ")


JWKS = {"JWT_JWKS_URL": "https://id.example/keys"}
PEM = {"JWT_PUBLIC_KEY": pem(P256)}


class TestKeys:
    def settings(self, *, dev: bool = False, **environment: str) -> TokenSettings:
        return read_config({}, environment, dev=dev).tokens

    def error(self, *, dev: bool = False, **environment: str) -> str:
        with pytest.raises(ConfigError) as caught:
            read_config({}, environment, dev=dev)
        return str(caught.value)

    def test_public_keys_from_the_environment_or_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.pem"
        file.write_text(pem(RSA) + pem(P256))
        for given in (
            {"JWT_PUBLIC_KEY_FILE": str(file)}, {"RTWIST_JWT_PUBLIC_KEY_FILE": str(file)},
            {"JWT_PUBLIC_KEY": file.read_text()}, {"RTWIST_JWT_PUBLIC_KEY": file.read_text()},
        ):  # fmt: skip
            assert [key.algorithm for key in self.settings(**given).public_keys] == ["RS256", "ES256"]
        config = read_config({"jwt-public-key-file": str(file)}, {}, dev=False)
        assert len(config.tokens.public_keys) == 2

    def test_a_file_without_keys_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.pem"
        file.write_text("no key")
        assert self.error(JWT_PUBLIC_KEY_FILE=str(file)) == (
            "JWT_PUBLIC_KEY_FILE cannot be used: no PEM block is there: a public key begins with "
            "-----BEGIN PUBLIC KEY-----"
        )

    @pytest.mark.parametrize(
        "url",
        ["https://id.example/keys", "http://localhost:8080/keys", "http://127.0.0.1/keys", "http://[::1]:1/keys"],
    )
    def test_a_key_server(self, url: str) -> None:
        assert self.settings(JWT_JWKS_URL=url).jwks_url == url
        assert self.settings(RTWIST_JWT_JWKS_URL=url).jwks_url == url

    @pytest.mark.parametrize("host", ["id.example", "10.0.0.1", "localhost.example", "127.0.0.1.example"])
    def test_nobody_may_be_on_the_way_to_it(self, host: str) -> None:
        url = f"http://{host}/keys"
        assert self.error(JWT_JWKS_URL=url).startswith(f"JWT_JWKS_URL is '{url}': whoever is on the way")
        assert self.settings(JWT_JWKS_URL=url, RTWIST_JWT_JWKS_ALLOW_HTTP="yes").jwks_url == url

    @pytest.mark.parametrize("given", [KEY | JWKS, KEY | PEM, JWKS | PEM, KEY | JWKS | PEM])
    @pytest.mark.parametrize("dev", [False, True])
    def test_two_kinds_are_never_together(self, given: dict[str, str], dev: bool) -> None:
        said = self.error(dev=dev, **given)
        assert " and ".join(name for name in (*KEY, *PEM, *JWKS) if name in given) + " are set" in said
        assert SECRET not in said

    def test_the_secret_before_needs_one_after(self) -> None:
        assert self.settings(JWT_PREVIOUS_SECRET=SECRET, **KEY).previous_secret == SECRET
        for others in ({}, JWKS, PEM):
            assert "JWT_PREVIOUS_SECRET is set without" in self.error(JWT_PREVIOUS_SECRET=SECRET, **others)

    @pytest.mark.parametrize("given", [JWKS, PEM])
    def test_development_mode_signs_tokens_itself(self, given: dict[str, str]) -> None:
        assert f"{next(iter(given))} is set, but --dev signs tokens itself" in self.error(dev=True, **given)


class TestMistakes:
    @pytest.mark.parametrize(("name", "text"), WRONG)
    def test_each_names_its_option_the_fault_and_what_to_write(self, name: str, text: str) -> None:
        said = error({name: text})
        assert said.startswith(f"--{name} is {text!r}: "), said
        assert NAMED[name].help in said
        assert "invalid literal" not in said, "words for people"
        assert "could not convert" not in said, "words for people"

    @pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
    def test_in_the_environment_the_variable_is_named(self, setting: Setting) -> None:
        for variable in setting.env_names:
            wrong = next((text for name, text in WRONG if name == setting.name and text), None)
            if wrong is not None:
                assert error({}, {variable: wrong}).startswith(f"{variable} is {wrong!r}: ")

    def test_authorities_for_a_connection_that_has_no_tls_are_refused(self) -> None:
        said = error({"redis-ca-file": ROUTES}, {"REDIS_URL": "redis://localhost"})
        assert said.startswith("--redis-ca-file is given, but ")

    def test_what_has_no_effect_without_redis_is_told(self) -> None:
        warnings = read({"cluster": "sharded", "redis-lease": "3"}, {"REDIS_URL": ""}).warnings
        assert [one.partition(" has no effect without REDIS_URL")[0] for one in warnings] == [
            "--redis-lease",
            "--cluster",
        ]

    def test_workers_need_redis(self) -> None:
        assert error({"workers": "2"}, {"REDIS_URL": ""}).startswith("--workers is 2, but ")

    def test_an_address_for_other_nodes_needs_redis(self) -> None:
        found = error({"advertise": "http://10.0.0.5:8009"}, {"REDIS_URL": ""})
        assert found.startswith("--advertise is http://10.0.0.5:8009, but ")

    def test_without_a_key_it_says_what_to_set(self) -> None:
        with pytest.raises(ConfigError) as caught:
            read_config({}, {}, dev=False)
        for word in ("JWT_SECRET", "--jwt-secret-file", "--dev"):
            assert word in str(caught.value)

    def test_a_secret_is_never_quoted(self) -> None:
        for text in (error({"port": "x"}, {"API_KEY": "the-key"}), error({"log-level": "x"})):
            assert "the-key" not in text
            assert SECRET not in text


class TestStrangers:
    """Variables that look like options and are none."""

    def warnings(self, **environment: str) -> tuple[str, ...]:
        return read({}, environment).warnings

    def test_a_misspelt_one_is_named_with_what_was_meant(self) -> None:
        assert self.warnings(RTWIST_PROT="1") == (
            "RTWIST_PROT is no option of rtwist; did you mean RTWIST_PORT?",
        )
        assert self.warnings(RTWIST_API_KEY_FIEL="x", RTWIST_DVE="1") == (
            "RTWIST_API_KEY_FIEL is no option of rtwist; did you mean RTWIST_API_KEY_FILE?",
            "RTWIST_DVE is no option of rtwist; did you mean RTWIST_DEV?",
        )
        assert self.warnings(RTWIST_WEATHER="1") == ("RTWIST_WEATHER is no option of rtwist",)

    def test_all_others_are_none(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text(SECRET)
        right = {name: "1" for setting in SETTINGS if setting.name == "port" for name in setting.env_names}
        secrets = {f"{setting.env_names[-1]}_FILE": str(file) for setting in SECRETS}
        assert self.warnings(**right, **secrets, RTWIST_DEV="0", RTWIST_EMPTY="", RTWISTED="1", HOME="/") == ()


class TestWeakPoints:
    """Settings that work, and let in more than most operators mean."""

    def warnings(self, environment: dict[str, str], *, dev: bool = False) -> tuple[str, ...]:
        return read_config({}, environment, dev=dev).warnings

    @pytest.mark.parametrize("key", ["x", "a-short-key", "x" * (MIN_KEY_CHARS - 1)])
    def test_a_key_that_can_be_guessed(self, key: str) -> None:
        (warning,) = self.warnings({**KEY, "API_KEY": key})
        assert warning.startswith(f"API_KEY has {len(key)} characters")
        assert key == "x" or key not in warning
        assert self.warnings({"API_KEY": key}, dev=True) == ()

    def test_one_that_cannot(self) -> None:
        assert self.warnings({**KEY, "API_KEY": "x" * MIN_KEY_CHARS}) == self.warnings(KEY) == ()

    def test_tokens_that_were_made_for_others(self) -> None:
        (warning,) = self.warnings(JWKS)
        assert warning.startswith("JWT_JWKS_URL is set without --jwt-audience")
        assert self.warnings({**JWKS, "RTWIST_JWT_AUDIENCE": "shop"}) == self.warnings(PEM) == ()


class TestDevelopment:
    def test_no_key_is_needed_and_pages_of_any_origin_may_connect(self) -> None:
        config = read_config({}, {}, dev=True)
        assert config.dev
        assert config.tokens.secret is None
        assert config.socketio.cors_origins == "*"

    def test_what_is_set_stays_set(self) -> None:
        config = read_config({}, {**KEY, "FRONTEND_URL": "https://a.example"}, dev=True)
        assert (config.tokens.secret, config.socketio.cors_origins) == (SECRET, ("https://a.example",))
