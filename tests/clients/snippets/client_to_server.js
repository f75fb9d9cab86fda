// Join a custom room
socket.emit('join_room', 'custom-room-id');

// Leave a room
socket.emit('leave_room', 'custom-room-id');

// Subscribe to order updates
socket.emit('subscribe_order', 'order-123');

// Subscribe to product inventory
socket.emit('subscribe_inventory', 'product-456');

// Typing indicator
socket.emit('typing', { roomId: 'chat-room', isTyping: true });
