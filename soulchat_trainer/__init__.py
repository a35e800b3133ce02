"""The ChatGLM model, the training of it, and what is done with a trained model.

Importing this package makes ChatGLM-6B (v1) known to transformers' Auto classes.
"""

from .chatglm import register_auto_classes

register_auto_classes()
