"""Whole talks with clients that are played: profiles, protocols, parties, and what is measured of the talks."""
