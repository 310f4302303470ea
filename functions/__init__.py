"""The blueprints: decode, make one call into `shared`, reply. No logic."""
