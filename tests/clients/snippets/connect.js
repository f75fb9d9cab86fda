const socket = io('ws://localhost:8009', {
  auth: {
    token: 'your-jwt-token'
  }
});
