"""Images, encoders, and the features that encoders compute from images."""
