"""What guards every page and the server: where they listen, whom they answer, and how much they read."""
