from capsmith.core.versions import installed_versions


def test_versions_of_python_the_platform_and_the_packages():
    versions = installed_versions()
    assert {"python", "platform", "capsmith", "keras", "numpy"} <= set(versions)
    assert all(isinstance(value, str) and value for value in versions.values())
