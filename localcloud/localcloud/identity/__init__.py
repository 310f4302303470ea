"""A local managed identity endpoint, as an App Service has one, and what an application verifies its tokens with."""
