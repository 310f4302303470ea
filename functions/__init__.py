"""The blueprints: decode, one call into shared, reply. No logic."""
