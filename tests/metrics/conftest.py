from tests.support.fake_java import fake_java  # noqa: F401  a fixture
