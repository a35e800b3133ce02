"""Chinese BLEU and ROUGE as the field computes them, exact and fast."""
