"""What several tests use: guests, engines, models and servers made for them."""
