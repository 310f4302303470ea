"""Runs the live tests of azure-ai-ml against the local control plane.

    python -m tests.microsoft_suites [--configs FOLDER] [MODULE …]

The tests come from the SDK's source package, and the YAML files that they read from its repository, which the package
leaves out. Both stay in a folder of their own; nothing of them is part of this repository.
"""
