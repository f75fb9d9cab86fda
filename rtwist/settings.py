"""The settings of the service: every option with its environment names, default, reader and help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtwist.auth.identity import ClaimNames
from rtwist.auth.policy import ASKABLE, CUSTOM_ROOMS
from rtwist.auth.publickeys import keys_in_pem
from rtwist.auth.revocation import DEFAULT_SECONDS as DEFAULT_REVOCATION_SECONDS
from rtwist.auth.revocation import DEFAULT_SIZE as DEFAULT_REVOCATION_SIZE
from rtwist.auth.settings import TokenSettings
from rtwist.authorization import (
    DEFAULT_CACHE,
    DEFAULT_CONCURRENCY,
    DEFAULT_TIMEOUT,
    DEFAULT_TTL,
)
from rtwist.cluster.mode import Mode
from rtwist.cluster.outage import WhileAway
from rtwist.cluster.settings import PROTOCOLS, ClusterSettings, as_advertised, read_prefix
from rtwist.domain.owners import DEFAULT_MAX_ORDERS
from rtwist.intake.amqp.url import read_urls
from rtwist.intake.settings import (
    DECLARE_MODES,
    QUEUE_TYPES,
    BrokerSettings,
    read_bindings,
    read_name,
    whole,
)
from rtwist.intake.window import DEFAULT_SECONDS, DEFAULT_SIZE
from rtwist.leases import LeaseOptions
from rtwist.limits import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
    DEFAULT_MAX_CONNECTIONS_PER_USER,
    DEFAULT_MAX_EVENTS,
    DEFAULT_MAX_HANDSHAKES,
    DEFAULT_MAX_HANDSHAKES_PER_ADDRESS,
    DEFAULT_MAX_PACKETS,
    DEFAULT_MAX_REFRESHES,
    DEFAULT_MAX_TYPING,
)
from rtwist.readers import (
    as_amount,
    as_bearer,
    as_cookie_name,
    as_count,
    as_depth,
    as_duration,
    as_file,
    as_folder,
    as_leeway,
    as_limit,
    as_names,
    as_networks,
    as_one_of,
    as_origins,
    as_path,
    as_patience,
    as_port,
    as_seconds,
    as_some_of,
    as_state,
    as_url,
    as_wait,
    as_yes_or_no,
)
from rtwist.redis.address import RedisAddress
from rtwist.redis.address import read_url as read_redis_url
from rtwist.requests import DEFAULT_MAX_ROOM_NAME, DEFAULT_MAX_ROOMS
from rtwist.shedding import DrainOptions
from rtwist.slowness import SLOW_CONSUMERS, as_slow_consumers
from rtwist.socketio import Options as SocketOptions
from rtwist.workers.marks import MOST_WORKERS

DEFAULT_PORT = 8009
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")
PREFIX = "RTWIST_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One option: its name on the command line, its environment names, default, reader and help.

    A secret has no place on the command line, where other users of the machine can read it: it comes from the
    environment, or from the file that `<name>-file` names. A flag is given without a value, or as yes or no in
    the environment.
    """

    name: str
    help: str
    default: Any = None
    read: Callable[[str], Any] = str
    env: tuple[str, ...] = ()
    secret: bool = False
    repeatable: bool = False
    flag: bool = False

    @property
    def env_names(self) -> tuple[str, ...]:
        """The environment variables it is read from, in order."""
        return (*self.env, PREFIX + self.name.upper().replace("-", "_"))

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"{self.name}-file" if self.secret else self.name

    @property
    def default_text(self) -> str:
        """The default as it would be written on the command line, "" without one."""
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        if isinstance(self.default, float):
            return f"{self.default:.12g}"
        return "" if self.default is None else str(self.default)

    @property
    def full_help(self) -> str:
        """Its help with default and first environment variable."""
        default = f" (default: {self.default_text})" if self.default_text else ""
        return f"{self.help}{default} [{self.env_names[0]}]"


_CLAIMS = ClaimNames()
_TOKENS = TokenSettings()
_LEASE = LeaseOptions()
_SOCKET = SocketOptions()
_BROKER = BrokerSettings(addresses=())
_DRAIN = DrainOptions()
_CLUSTER = ClusterSettings(address=RedisAddress())
_FAR = _CLUSTER.limits

SETTINGS: tuple[Setting, ...] = (
    Setting("listen", "where to listen, as a Twisted endpoint string such as tcp:8009 or "
            "ssl:443:privateKey=key.pem:certKey=cert.pem; may be given several times", repeatable=True),
    Setting("port", "TCP port to listen on when --listen is not given", DEFAULT_PORT, as_port, ("PORT",)),
    Setting("jwt-secret", "file with the secret that signs the clients' tokens (HS256, at least 32 bytes)",
            env=("JWT_SECRET",), secret=True),
    Setting("jwt-previous-secret", "file with the secret before, still accepted for tokens that it signed",
            env=("JWT_PREVIOUS_SECRET",), secret=True),
    Setting("jwt-public-key", "PEM file with the public keys of the tokens' issuer, instead of a secret "
            "(RSA: RS256, P-256: ES256, Ed25519: EdDSA)", None, keys_in_pem, ("JWT_PUBLIC_KEY",), secret=True),
    Setting("jwt-jwks-url", "URL of the issuer's public keys, a JSON Web Key Set", None, as_url,
            ("JWT_JWKS_URL",)),
    Setting("jwt-jwks-allow-http", "let that URL be http on other machines, where nobody is on the way", False,
            as_yes_or_no, flag=True),
    Setting("jwt-jwks-max-age", "seconds after which those keys are fetched anew", _TOKENS.jwks_max_age,
            as_seconds),
    Setting("jwt-audience", "accept only tokens for one of these audiences, with commas", (), as_names),
    Setting("jwt-issuer", "accept only tokens of one of these issuers, with commas", (), as_names),
    Setting("jwt-leeway", "seconds by which the clock of the tokens' issuer may differ", 0.0, as_leeway),
    Setting("jwt-required-claims", "claims that a token must have besides exp and a user, with commas", (),
            as_names),
    Setting("jwt-max-bytes", "bytes of the longest token taken", _TOKENS.max_bytes, as_count),
    Setting("expiry-warning", "seconds before the end of its token at which a client gets auth:expiring",
            _LEASE.warning, as_duration),
    Setting("expiry-grace", "seconds a client may stay after the end of its token", _LEASE.grace, as_duration),
    Setting("revocation-window", "seconds for which a revocation is remembered: as long as a token lives",
            DEFAULT_REVOCATION_SECONDS, as_seconds),
    Setting("revocation-size", "revocations remembered at most", DEFAULT_REVOCATION_SIZE, as_count),
    Setting("claim-user", "claims that may name the user, with commas, the first present counts",
            _CLAIMS.user, as_names),
    Setting("claim-company", "claims that may name the company", _CLAIMS.company, as_names),
    Setting("claim-shops", "claims that may name the shops", _CLAIMS.shops, as_names),
    Setting("claim-roles", "claims that may name the roles", _CLAIMS.roles, as_names),
    Setting("claim-rooms", "claims that may hold patterns of rooms, granted or refused", _CLAIMS.rooms, as_names),
    Setting("custom-rooms", "who may join_room: open for any signed-in user, granted for whom the token or the "
            "authorization URL lets in, closed for nobody", "open", as_one_of(*CUSTOM_ROOMS)),
    Setting("authorization-url", "URL that is asked who may be in a room", None, as_url),
    Setting("authorization-secret", "file with what is sent to it as a bearer token", None, as_bearer,
            ("AUTHORIZATION_SECRET",), secret=True),
    Setting("authorization-for", "kinds of rooms it decides about, with commas: custom, order, product, transfer",
            ("custom", "order", "transfer"), as_some_of(*ASKABLE)),
    Setting("authorization-timeout", "seconds it may take to answer", DEFAULT_TIMEOUT, as_seconds),
    Setting("authorization-ttl", "seconds for which an answer counts at most", DEFAULT_TTL, as_seconds),
    Setting("authorization-cache", "answers remembered at most", DEFAULT_CACHE, as_count),
    Setting("authorization-concurrency", "requests to it under way at most", DEFAULT_CONCURRENCY, as_count),
    Setting("api-key", "file with the key that backend services send as X-API-Key", env=("API_KEY",),
            secret=True),
    Setting("cors-origins", "origins whose pages may connect, with commas, * for any; without it only pages "
            "of the same host may", None, as_origins, ("FRONTEND_URL",)),
    Setting("path", "path of the Socket.IO server", "/socket.io/", as_path),
    Setting("ping-interval", "seconds between heartbeats", 25.0, as_seconds),
    Setting("ping-timeout", "seconds a client may take to answer a heartbeat", 60.0, as_seconds),
    Setting("connect-timeout", "seconds a connection may stay without joining a namespace", 45.0, as_seconds),
    Setting("refused-timeout", "the same after it was refused", _SOCKET.refused_timeout, as_seconds),
    Setting("max-payload", "bytes of the largest message or request body taken", 1_000_000, as_count),
    Setting("max-payload-packets", "packets in one POST", _SOCKET.max_payload_packets, as_count),
    Setting("max-fragments", "frames in one WebSocket message", _SOCKET.max_fragments, as_count),
    Setting("max-attachments", "binary parts of a packet", _SOCKET.max_attachments, as_amount),
    Setting("max-depth", "nesting of JSON in packets, bodies and messages of RabbitMQ", _SOCKET.max_depth,
            as_depth),
    Setting("attachment-timeout", "seconds for the binary parts of a packet to arrive",
            _SOCKET.attachment_timeout, as_seconds),
    Setting("max-queued-events", "events of one client that may wait for a busy handler",
            _SOCKET.max_queued_events, as_count),
    Setting("max-queued-bytes", "the same in bytes", _SOCKET.max_queued_bytes, as_count),
    Setting("max-pending-acks", "acknowledgements that one socket may owe until the oldest is given up",
            _SOCKET.max_pending_acks, as_count),
    Setting("ack-timeout", "seconds an acknowledgement is waited for, 0 for no limit", _SOCKET.ack_timeout,
            as_patience),
    Setting("max-buffered", "bytes that may wait for a client until it is disconnected", 16_000_000, as_count),
    Setting("max-buffered-age", "seconds anything may wait for it until it is disconnected", 30.0, as_seconds),
    Setting("max-buffered-total", "bytes that may wait in memory for all slow clients until those with most are "
            "disconnected", 256_000_000, as_count),
    Setting("max-incoming-total", "bytes of bodies and messages not whole, or waiting, of all clients until "
            "those with most are given up", 256_000_000, as_count),
    Setting("slow-consumer", "event=rule with commas, for clients that are behind: drop, latest:field (keep the "
            "last) or disconnect; adds to the default", SLOW_CONSUMERS, as_slow_consumers),
    Setting("max-packet-bytes", "bytes of a packet with its binary parts", 10_000_000, as_count),
    Setting("max-connections", "connections in all; without it, or where that is less, as many as the open files "
            "allow", None, as_count),
    Setting("max-connections-per-address", "connections of one address (IPv6: one /64), 0 for no limit",
            DEFAULT_MAX_CONNECTIONS_PER_ADDRESS, as_limit),
    Setting("max-connections-per-user", "connections of one user, 0 for no limit",
            DEFAULT_MAX_CONNECTIONS_PER_USER, as_limit),
    Setting("max-handshakes-per-second", "new connections a second, 0 for no limit", DEFAULT_MAX_HANDSHAKES,
            as_limit),
    Setting("max-handshakes-per-second-per-address", "new connections of one address a second, "
            "and its REST requests without the API key, 0 for no limit",
            DEFAULT_MAX_HANDSHAKES_PER_ADDRESS, as_limit),
    Setting("max-packets-per-second", "packets a second that are read from one connection, 0 for no limit",
            DEFAULT_MAX_PACKETS, as_limit),
    Setting("max-bytes-per-second", "bytes a second that are read from one connection, 0 for no limit",
            DEFAULT_MAX_BYTES, as_limit),
    Setting("max-events-per-second", "events a second of one connection before they are refused, 0 for no limit",
            DEFAULT_MAX_EVENTS, as_limit),
    Setting("max-requests", "requests on one HTTP connection before it must open another", 10_000, as_count),
    Setting("trusted-proxies", "proxies whose X-Forwarded-For or Forwarded is believed: addresses and networks "
            "with commas, unix for a UNIX socket", (), as_networks),
    Setting("header-timeout", "seconds for a request's headers to arrive", 10.0, as_seconds),
    Setting("body-timeout", "seconds for a request body or a WebSocket message to arrive", 30.0, as_seconds),
    Setting("idle-timeout", "seconds an HTTP connection may stay open between requests", 60.0, as_seconds),
    Setting("upgrade-timeout", "seconds for a WebSocket to take over from polling", _SOCKET.upgrade_timeout,
            as_seconds),
    Setting("close-timeout", "seconds a client may take over the end of its connection", _SOCKET.close_timeout,
            as_seconds),
    Setting("poll-close-timeout", "the same for a client that polls, until it comes to hear of the end",
            _SOCKET.poll_close_timeout, as_seconds),
    Setting("flood-timeout", "seconds a WebSocket may send too much before it is closed", 60.0, as_seconds),
    Setting("unread-timeout", "seconds a client may leave an HTTP answer unread (Linux)", 30.0, as_seconds),
    Setting("websocket-compression", "compress WebSocket messages where the client can (permessage-deflate)",
            False, as_yes_or_no, flag=True),
    Setting("max-rooms", "rooms one socket may ask for", DEFAULT_MAX_ROOMS, as_count),
    Setting("max-room-name", "characters of a room's name", DEFAULT_MAX_ROOM_NAME, as_count),
    Setting("max-typing-per-second", "deliveries of typing a second that one user may cause, 0 for no limit",
            DEFAULT_MAX_TYPING, as_limit),
    Setting("max-refreshes-per-second", "new tokens a second that one connection may send, 0 for no limit",
            DEFAULT_MAX_REFRESHES, as_limit),
    Setting("max-orders", "orders whose owners are remembered", DEFAULT_MAX_ORDERS, as_count),
    Setting("dedup-window", "seconds for which an event id is remembered, so that a repeated event is "
            "emitted once", DEFAULT_SECONDS, as_seconds),
    Setting("dedup-size", "event ids remembered at most", DEFAULT_SIZE, as_count),
    Setting("state-directory", "directory for the ids of handled events, so that after a crash nobody sees one "
            "twice; without it they are forgotten when the process ends", None, as_state, ("STATE_DIRECTORY",)),
    Setting("routes", "TOML file with routes: more kinds of events, and to which rooms they are emitted", None,
            as_file),
    Setting("rabbitmq-url", "file with the URL of RabbitMQ, amqp://user:password@host:5672/vhost or amqps://..., "
            "several with commas; without it events come in by POST /events only", None, read_urls,
            ("RABBITMQ_URL",), secret=True),
    Setting("rabbitmq-ca-file", "PEM file of the authorities to trust for amqps instead of the system's", None,
            as_file),
    Setting("rabbitmq-exchange", "topic exchange that domain events are published to", _BROKER.exchange,
            read_name),
    Setting("rabbitmq-queue", "queue to consume", _BROKER.queue, read_name),
    Setting("rabbitmq-bindings", "routing keys that go into the queue, as patterns with commas",
            _BROKER.bindings, read_bindings),
    Setting("rabbitmq-bind-rules", "bind the queue to the patterns of the routes file and of packages' rules too",
            False, as_yes_or_no, flag=True),
    Setting("rabbitmq-dead-letter-exchange", "exchange for messages that cannot be used",
            _BROKER.dead_letter_exchange, read_name),
    Setting("rabbitmq-dead-letter-queue", "queue they are kept in", _BROKER.dead_letter_queue, read_name),
    Setting("rabbitmq-declare", "declare to make these on the broker, check to require that they are there, or "
            "none", _BROKER.declare, as_one_of(*DECLARE_MODES)),
    Setting("rabbitmq-queue-type", "type of the queue when it is made", _BROKER.queue_type,
            as_one_of(*QUEUE_TYPES)),
    Setting("rabbitmq-prefetch", "messages that may wait for their acknowledgement", _BROKER.prefetch,
            whole(1, 65535)),
    Setting("rabbitmq-ack-batch", "messages acknowledged together at most", _BROKER.ack_batch, as_count),
    Setting("rabbitmq-retries", "tries after the first for an event whose rule fails", _BROKER.retries,
            whole(0, 10)),
    Setting("rabbitmq-max-deliveries", "deliveries of a message without an end before it is a dead letter; "
            "quorum queues count them", _BROKER.max_deliveries, as_count),
    Setting("rabbitmq-max-body", "bytes of the largest message taken", _BROKER.max_body, as_count),
    Setting("rabbitmq-heartbeat", "seconds between heartbeats with RabbitMQ, which is left after twice as many "
            "of silence; 0 for none", _BROKER.heartbeat, whole(0, 65535)),
    Setting("rabbitmq-settle", "seconds after the start for which events stay in RabbitMQ, so that clients come "
            "back before their events do", _BROKER.settle, as_wait),
    Setting("to-broker", "publish what comes by POST /events to RabbitMQ instead of emitting it at once", False,
            as_yes_or_no, flag=True),
    Setting("redis-url", "file with the URL of the Redis that all nodes share, redis://user:password@host:6379, "
            "rediss://..., redis+sentinel://... or unix://...; without it this is one node", None,
            lambda text: read_redis_url(text, "the URL"), ("REDIS_URL",), secret=True),
    Setting("redis-ca-file", "PEM file of the authorities to trust for rediss instead of the system's", None,
            as_file),
    Setting("redis-away", "what becomes of events while Redis is away: hold (they stay in RabbitMQ until all "
            "nodes can hear of them) or local (this node's clients get them at once, those of others late)",
            _CLUSTER.away.value, as_one_of(*(one.value for one in WhileAway))),
    Setting("redis-lease", "seconds after which the users of a node that has died are told to be offline",
            _CLUSTER.lease, as_seconds),
    Setting("redis-heartbeat", "seconds between heartbeats with Redis", _CLUSTER.heartbeat, as_seconds),
    Setting("redis-timeout", "seconds that Redis may take to answer until it counts as away", _CLUSTER.timeout,
            as_seconds),
    Setting("redis-check", "seconds between checks that this node hears what is published", _CLUSTER.check,
            as_seconds),
    Setting("redis-max-waiting", "messages that may wait for Redis to confirm them, and commands for its answers",
            _CLUSTER.max_waiting, as_count),
    Setting("redis-max-waiting-bytes", "the same in bytes of messages", _CLUSTER.max_waiting_bytes, as_count),
    Setting("redis-keep", "seconds for which Redis keeps what was published for events, for nodes that are cut "
            "off from it meanwhile", _CLUSTER.keep, as_seconds),
    Setting("redis-keep-bytes", "bytes of that which Redis keeps", _CLUSTER.keep_bytes, as_count),
    Setting("redis-prefix", "what the names of rtwist's own keys and channels at Redis begin with",
            _CLUSTER.prefix, read_prefix),
    Setting("cluster", "adapter of the Node servers in the cluster: classic (createAdapter) or sharded "
            "(createShardedAdapter, Redis 7)", _CLUSTER.protocol, as_one_of(*PROTOCOLS)),
    Setting("cluster-key", "what the adapter's channels begin with: the Node servers' key, or channelPrefix",
            _CLUSTER.key, read_prefix),
    Setting("cluster-subscription-mode", "which rooms have shard channels: dynamic (not those of one socket), "
            "dynamic-private (all) or static (none); subscriptionMode of the Node servers",
            _CLUSTER.mode.value, as_one_of(*(one.value for one in Mode))),
    Setting("cluster-requests-timeout", "seconds that other nodes may take to answer", _CLUSTER.requests_timeout,
            as_seconds),
    Setting("advertise", "where the other nodes reach this one, for example http://10.0.0.5:8009: they forward "
            "to it what is for its sessions, so that no balancer need keep clients with one node", None,
            as_advertised),
    Setting("advertise-ca-file", "PEM file of the authorities to trust for nodes at https instead of the "
            "system's", None, as_file),
    Setting("forward-timeout", "seconds to reach another node until its sessions count as unknown",
            _CLUSTER.forward_timeout, as_seconds),
    Setting("max-forwarded", "requests forwarded to other nodes at a time, WebSockets among them; at most a "
            "quarter of the open files", _CLUSTER.max_forwarded, as_count),
    Setting("cluster-max-bytes", "bytes of the largest message of another node that is read", _FAR.max_bytes,
            as_count),
    Setting("cluster-max-depth", "nesting in such a message", _FAR.max_depth, as_depth),
    Setting("cluster-max-rooms", "rooms that such a message may name", _FAR.max_rooms, as_count),
    Setting("cluster-max-room-length", "characters of a room's name in it", _FAR.max_room_length, as_count),
    Setting("cluster-max-id-length", "characters of the id of a node, a request or a socket in it",
            _FAR.max_id_length, as_count),
    Setting("workers", "processes that share the ports of --listen; more than one need Redis", 1,
            whole(1, MOST_WORKERS)),
    Setting("cookie", "name of a cookie with the session id, for load balancers; none without it", None,
            as_cookie_name),
    Setting("client-dist", "folder dist of the npm package socket.io-client, to serve it as "
            "/socket.io/socket.io.js", None, as_folder),
    Setting("env-file", "file with lines NAME=value, which count like the environment and before it; read again "
            "on SIGHUP", None, as_file),
    Setting("drain-delay", "seconds after SIGTERM for which clients may still connect, so that a load balancer "
            "notices /ready", _DRAIN.delay, as_wait),
    Setting("drain-rate", "clients a second whose connections are closed at a stop or a rebalance, more where "
            "the time asks for it; 0 for all at once", _DRAIN.rate, as_limit),
    Setting("drain-timeout", "seconds that a stop may take in all", _DRAIN.timeout, as_seconds),
    Setting("log-format", "text, or json for one JSON object a line on standard output", "text",
            as_one_of(*LOG_FORMATS)),
    Setting("log-level", "least level that is logged: debug (with payloads), info, warn or error", "info",
            as_one_of(*LOG_LEVELS)),
)  # fmt: skip
