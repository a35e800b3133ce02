"""Ratings by people: a study, its page and sheets, the report."""
