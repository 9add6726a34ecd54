"""What commands do in their two processes."""
