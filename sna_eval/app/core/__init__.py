"""What the app does, without a browser."""
