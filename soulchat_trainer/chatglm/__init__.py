"""ChatGLM-6B (v1) native in transformers 5: configuration, model, tokenizer."""
