// Automatically subscribed to shop room
socket.on('order:shop_order', (data) => {
  addToShopOrders(data);
});

socket.on('inventory:shop_update', (data) => {
  updateShopInventory(data);
});
