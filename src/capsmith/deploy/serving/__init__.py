"""The caption service: FastAPI over one or several captioners, with dynamic batches."""
