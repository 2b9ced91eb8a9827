# A server of translation models, on a CPU, without PyTorch. Models are mounted at /models:
#
#   docker build -t nmt .
#   docker run --rm --read-only --tmpfs /tmp -p 5000:5000 -v "$PWD/runs:/models:ro" nmt en-de=/models/m30k
#
# docs/howto/deploy.md explains it.
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN /src/scripts/install-server /opt/nmt

FROM python:3.13-slim
COPY --from=build /opt/nmt /opt/nmt
RUN useradd --system --home-dir /nonexistent nmt
USER nmt
# Models without a packed file are packed into this folder. It is in the temporary file system.
ENV XDG_CACHE_HOME=/tmp PYTHONDONTWRITEBYTECODE=1
EXPOSE 5000
HEALTHCHECK --interval=10s --start-period=30s CMD ["/opt/nmt/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/ready', timeout=3)"]
ENTRYPOINT ["/opt/nmt/bin/nmt-serve", "--host", "0.0.0.0"]
