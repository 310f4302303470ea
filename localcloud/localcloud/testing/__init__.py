"""Starts parts in separate processes, for the tests of users of the local cloud."""
