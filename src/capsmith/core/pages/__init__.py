"""The look of every HTML page: one stylesheet, and the templates' environment."""
