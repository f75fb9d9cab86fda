"""The protocol of the sharded adapter of `@socket.io/redis-adapter`."""
