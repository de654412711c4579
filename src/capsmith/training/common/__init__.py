"""What the trainings of captioners and of joint embeddings have in common."""
