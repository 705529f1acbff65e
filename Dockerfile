# One image for drivers and for the nodes of a Ray cluster: docs/cluster.md.
#
#   docker build --tag archloss .
#   docker build --tag archloss:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#
# Without the argument torch is built for processors alone, which makes a small image.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY archloss archloss
COPY search search
COPY spaces spaces
COPY storage storage
COPY workers workers
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# KubeRay asks a node how it is with wget.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt --index-url "${TORCH_INDEX}" torch
COPY --from=build /wheels /wheels
# "ray[default]" brings what takes jobs in (`ray job submit`).
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt \
    "archloss[postgresql,tune] @ file://$(ls /wheels/archloss-*.whl)" \
    "ray[default]"
RUN useradd --create-home --uid 1000 archloss
USER archloss
WORKDIR /home/archloss
ENV RAY_USAGE_STATS_ENABLED=0 \
    PYTHONUNBUFFERED=1
CMD ["archloss", "--help"]
