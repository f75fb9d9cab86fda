"""The protocol of `@socket.io/redis-adapter` and `@socket.io/redis-emitter`."""
