"""The page on which people proofread records of a corpus in the making."""
