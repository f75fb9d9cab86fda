"""Why a session ended, in the words every Socket.IO server uses."""

from typing import Final

TRANSPORT_ERROR: Final = "transport error"
TRANSPORT_CLOSE: Final = "transport close"
FORCED_CLOSE: Final = "forced close"
PING_TIMEOUT: Final = "ping timeout"
PARSE_ERROR: Final = "parse error"
