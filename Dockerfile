# The caption service in a container.
#
#   docker build -t capsmith .
#   docker run --rm -p 127.0.0.1:8000:8000 capsmith                     # the starter, at http://localhost:8000
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/exports/mine:/models/mine:ro" capsmith /models/mine
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/keys.txt:/keys.txt:ro" capsmith --api-key-file /keys.txt
#
# Arguments after the name of the image are those of `capsmith serve`. The image serves the starter and exports. Run
# directories need TensorFlow, which is four times as large: add --build-arg TENSORFLOW=1.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ARG TENSORFLOW=0
RUN python3 -m venv /opt/capsmith
ENV PATH=/opt/capsmith/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY constraints.txt ./
RUN pip install -c constraints.txt onnxruntime numpy pillow pydantic pyyaml tqdm jinja2 \
    fastapi uvicorn python-multipart prometheus-client
RUN if [ "$TENSORFLOW" = 1 ]; then pip install -c constraints.txt tensorflow keras nltk; fi
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY configs configs
COPY src src
RUN pip install --no-deps .

FROM ${BASE}
RUN useradd --system --uid 10001 --no-create-home capsmith
COPY --from=build /opt/capsmith /opt/capsmith
ENV PATH=/opt/capsmith/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["capsmith", "serve", "--host", "0.0.0.0", "--port", "8000"]
