# The environment from the lock, the project and the default backbone's weights:  docker build -t qrsupport .
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends make git chromium \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /qrsupport
COPY requirements.lock pyproject.toml README.md LICENSE Makefile ./
COPY qrsupport qrsupport
COPY nbs nbs
COPY book book
COPY tests tests
COPY _config.yml _toc.yml ./

ENV QRSUPPORT_CACHE=/opt/qrsupport-cache PATH=/qrsupport/.venv/bin:$PATH
RUN make env

CMD ["qrsupport", "--help"]
