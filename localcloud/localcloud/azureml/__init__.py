"""A local Azure ML: workspaces, registries, jobs, deployments and scoring for the unmodified `MLClient`, over HTTPS."""
