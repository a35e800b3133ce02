"""How such a corpus is made: clean, review, rewrite, clean and review again, describe, build (paper, section 2.1)."""
