"""Cards filled from what was measured, and publishing to the Hugging Face Hub. Needs no torch."""

from .cards import model_card_of, render_model_card

__all__ = ["model_card_of", "render_model_card"]
