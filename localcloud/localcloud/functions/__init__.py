"""A local Azure Functions host: it plays the .NET host's part, the functions run in Microsoft's own runtime library."""
