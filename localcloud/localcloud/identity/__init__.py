"""A local managed identity endpoint, as an App Service has one."""
