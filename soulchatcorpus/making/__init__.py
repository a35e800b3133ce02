"""How such a corpus is made: clean, review, rewrite, describe, build."""
