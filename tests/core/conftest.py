from tests.support.plugin_files import isolated_plugins, place  # noqa: F401  fixtures
