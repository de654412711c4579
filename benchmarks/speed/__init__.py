"""Speed of training, extraction and decoding against common alternatives, measured in one run."""
