// Connection confirmation
socket.on('connected', (data) => {
  console.log(data.message);
  console.log('Socket ID:', data.socketId);
});

// Order updates
socket.on('order:status_updated', (data) => {
  console.log('Order updated:', data);
});

// Payment updates
socket.on('payment:status_updated', (data) => {
  console.log('Payment:', data);
});

// Inventory updates
socket.on('inventory:updated', (data) => {
  console.log('Inventory changed:', data);
});

// Low stock alerts
socket.on('inventory:low_stock_alert', (data) => {
  console.log('Low stock:', data);
});

// Notifications
socket.on('notification:new', (data) => {
  console.log('New notification:', data);
});

// System announcements
socket.on('announcement:new', (data) => {
  console.log('Announcement:', data);
});
