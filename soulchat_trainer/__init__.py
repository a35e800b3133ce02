"""The ChatGLM model, the training of it, and what is done with a trained model."""
