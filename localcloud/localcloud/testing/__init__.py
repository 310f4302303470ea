"""Parts in processes of their own, for the tests of those who use the local cloud."""
