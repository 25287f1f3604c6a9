"""Static files in production: each under a name that its content makes, so that browsers may keep it for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the package carries no types
    """Modules that a module imports are renamed in it too, or a browser would load and run them twice."""

    support_js_module_import_aggregation = True
