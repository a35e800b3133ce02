"""Arguments, trainer, optimizer, checkpoints."""
