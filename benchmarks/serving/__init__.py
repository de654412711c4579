"""The caption service under load, on loopback.

    python -m benchmarks.serving throughput [MODEL] [--photos ../shared/flickr8k/Images]
    python -m benchmarks.serving soak [MODEL] [--minutes 30]
    python -m benchmarks.serving cold-start EXPORT starter RUN

Every answer is compared with what the same captioner gives for the file alone, without a server.
"""
