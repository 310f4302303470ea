"""Function apps to measure with."""
