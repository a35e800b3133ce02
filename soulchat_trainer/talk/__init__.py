"""Talking to a trained model: terminal, web page, OpenAI-compatible server."""
