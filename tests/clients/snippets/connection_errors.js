socket.on('disconnect', (reason) => {
  if (reason === 'io server disconnect') {
    // Server forcefully disconnected (reauth required)
  }
  if (reason === 'transport close') {
    // Connection lost (will auto-reconnect)
  }
});
