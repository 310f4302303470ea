"""Everything behind the functions: rules, configuration, steps, and the ports to Azure."""
