"""The wire to Redis: connections that are kept up, commands, messages by channel. Knows nothing of Socket.IO."""
