"""What every page and the server share: where they listen, and whom they answer."""
