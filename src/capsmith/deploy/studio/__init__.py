"""The studio: captions of a folder, proposed by a model, corrected by a person, exported and trained from."""
