"""Words of the languages that are fuzzed: a fuzzer finds them by itself only in hours."""

from __future__ import annotations

_JSON = (
    b"null",
    b"true",
    b"false",
    b"[]",
    b"{}",
    b'""',
    b"-0",
    b"1e400",
    b"\\ud800",
    b"\\udc00",
    b"NaN",
    b"9" * 20,
)
_IDS = (
    b'"orderId"', b'"paymentId"', b'"productId"', b'"transferId"', b'"userId"', b'"userIds"', b'"customerId"',
    b'"companyId"', b'"shopId"', b'"shopIds"', b'"fromShopId"', b'"toShopId"', b'"role"', b'"roles"', b'"type"',
    b'"data"', b'"id"', b'"timestamp"', b'"time"', b'"source"', b'"specversion"', b'"1.0"', b'"quantity"',
    b'"threshold"', b'"status"', b'"user"', b'"eventId"', b"order.", b"payment.", b"inventory.", b"transfer.",
    b"notification.", b"announcement.", b"user.", b"company.", b"shop.", b"product.", b"created", b"deleted",
    b"low_stock", b"|", b"\\u0000", b" ",
)  # fmt: skip
_FIELDS = tuple(code.encode() for code in "tbBsuIilLfdDSxTVFA")
_FRAME_HEADS = (
    b"\x01\x00\x01\x00\x00\x00", b"\x02\x00\x01\x00\x00\x00", b"\x03\x00\x01\x00\x00\x00", b"\xce",
    b"\x08\x00\x00\x00\x00\x00\x00\xce", b"\x00\x3c\x00\x3c", b"\x00\x3c\x00\x32", b"\x01c", b"\x00\x00\x00\x00",
)  # fmt: skip

TOKENS: dict[str, tuple[bytes, ...]] = {
    "engineio_payload": (b"b", b"=", b"==", b"AAAA", b"\x1e4", b"\x1eb", b"\xe2\x82\xac", b"\xed\xa0\x80"),
    "socketio_messages": (
        *_JSON, b'{"_placeholder":true,"num":0}', b'"num":', b"51-", b"50-", b"62-", b"\xff\xfe", b"\xff2",
        b"/a,",
        b'"connect"', b'["x"]', b"\xff",
    ),
    "json_text": (*_JSON, b"\\u", b'"', b"e-9", b"E+9", b"\xef\xbb\xbf", b"\x7f", b"\xe2\x80\xa8"),
    "token_text": (b".", b"e30", b"eyJ", b"Bearer ", b"==", b"_", b"-"),
    "token_claims": (
        *_JSON, b'"alg"', b'"HS256"', b'"none"', b'"kid"', b'"crit"', b'"exp"', b'"nbf"', b'"iat"', b'"sub"',
        b'"userId"', b'"shops"', b'"roles"', b"1800000000", b'{"id":', b"\n",
    ),
    "domain_event": (*_JSON, *_IDS),
    "routes_file": (
        b"[[route]]", b"pattern", b"emit", b"rooms", b"fields", b"everyone", b'"*"', b"'''", b'"""', b"{userId}",
        b"#", b"\n", b"= true", b'"user:{userId}"', b"order:", b"role:", b"\\u0041",
    ),
    "amqp_table": _FIELDS,
    "amqp_arguments": _FIELDS,
    "amqp_properties": _FIELDS,
    "amqp_stream": (*_FRAME_HEADS, *_FIELDS),
    "amqp_connection": (*_FRAME_HEADS, *_FIELDS),
    "amqp_urls": (b"amqp://", b"amqps://", b"%2F", b"%00", b"%ff", b"?heartbeat=", b"&frame_max=", b"[::1]"),
    "origins": (b"http://", b"https://", b"null", b"[", b"]", b"@", b":443", b":80", b"\n", b"\xdf", b"//"),
    "handshake": (
        b"EIO=4", b"transport=polling", b"transport=websocket", b"sid=", b"&", b"\nUpgrade: websocket",
        b"\nConnection: upgrade", b"\nAccept-Encoding: ", b";q=", b"\nOrigin: ", b"\nGET",
    ),
    "option_text": (b"*", b"://", b"inf", b"nan", b"_", b"e", b",", b"\xd9\xa3", b"/"),
    "http_site": (
        b"SID", b"\n----\n", b"GET ", b"POST ", b"\r\n\r\n", b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"EIO=4", b"&transport=websocket", b"&transport=polling", b"Upgrade: websocket\r\n", b"Origin: null\r\n",
        b"\x81\x80\x00\x00\x00\x00", b"0\r\n\r\n",
    ),
    "websocket_frames": (
        b"\x81\x80\x00\x00\x00\x00", b"\x01\x81\x00\x00\x00\x004", b"\x80\x80\x00\x00\x00\x00",
        b"\x88\x82\x00\x00\x00\x00\x03\xe8", b"\x89\x80\x00\x00\x00\x00", b"\xfe", b"\xff",
    ),
}  # fmt: skip
