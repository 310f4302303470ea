"""Handles events: routes them, applies them to lanes and publishes the changes; handles failures and their replay."""
