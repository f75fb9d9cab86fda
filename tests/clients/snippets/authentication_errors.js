socket.on('connect_error', (error) => {
  if (error.message === 'Authentication required') {
    // Redirect to login
  }
  if (error.message === 'Invalid or expired token') {
    // Refresh token and reconnect
  }
});
