"""What failed, whether a replay of it is safe, and replaying it."""
