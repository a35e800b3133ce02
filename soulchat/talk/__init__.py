"""Talking with a trained model: terminal, pipe, page and server over one way from a message to a reply."""
