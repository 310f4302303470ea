"""Checks a configuration and every file that it names, as far as that is possible without the cloud.

Applies the app's own rules (`shared.config`) and Azure ML's own loaders. Import it after `app_rules.make_importable`.
"""
