"""Conversations to token ids and batches; a talk into a room, for training and for chat."""
