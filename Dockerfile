# facenapi as a container, with its default model pack in it, and that of dlib which was the default before.
#
#   docker build -t facenapi .                          for the CPU
#   docker build -t facenapi:gpu --build-arg EXTRA=cuda .   for an NVIDIA GPU (docker run --gpus all …)
#
#   docker run -d -p 127.0.0.1:8000:8000 -v facenapi:/var/lib/findface-facenapi --name facenapi facenapi
#   docker exec facenapi facenapi token
#
# Data lives in the volume. A folder of yours in its place belongs to you: add --user "$(id -u):$(id -g)".
# Options are variables, for the server and every command that is executed in the container: -e FACENAPI_GAE=True,
# and for secrets the path of a file: -e FACENAPI_MONGO_URI_FILE=/run/secrets/mongo_uri.
#
# Layers in the order in which they change: libraries, networks, program. The base is pinned (Python 3.11.16, September
# 2026); docker buildx imagetools inspect python:3.11-slim-bookworm shows today's digest, for --build-arg BASE=….

ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS libraries
ARG EXTRA=cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/facenapi
COPY setup.cfg constraints.txt pyproject.toml README.rst LICENSE /src/
COPY scripts/notices scripts/build_nmslib /src/scripts/
# What the project needs, without the project.
RUN mkdir /src/facenapi \
    && echo '__version__ = "0"' >/src/facenapi/__init__.py \
    && /opt/facenapi/bin/pip install --no-cache-dir --constraint /src/constraints.txt "/src[${EXTRA},models,heif]" \
    && /opt/facenapi/bin/pip uninstall --yes facenapi \
    && /opt/facenapi/bin/python /src/scripts/notices >/opt/facenapi/NOTICES.txt
# For the processor that builds the image; NMSLIB=wheel keeps the published one, for an image that goes elsewhere.
ARG NMSLIB=native
RUN if [ "$NMSLIB" = native ]; then /src/scripts/build_nmslib /opt/facenapi/bin/python \
        || echo "NMSLIB stays the published one, which is slower"; fi

# Only those parts of the program that build networks: a change of another one leaves this layer as it is.
FROM libraries AS networks
WORKDIR /src
COPY facenapi/__init__.py facenapi/clock.py facenapi/errors.py facenapi/geometry.py facenapi/
COPY facenapi/config facenapi/config
COPY facenapi/process facenapi/process
COPY facenapi/photos facenapi/photos
COPY facenapi/detector facenapi/detector
COPY facenapi/commands/__init__.py facenapi/commands/common.py facenapi/commands/models.py \
    facenapi/commands/api_page.py facenapi/commands/
# The second pack is for faces that were stored with it, while facenapi regenerate moves them or for good.
RUN run() { /opt/facenapi/bin/python -c "import sys; from facenapi.commands.$1 import main; sys.exit(main(sys.argv[2:]))" "$@"; } \
    && run models build --model_pack=/opt/models/default --cache=/tmp/downloads \
    && run models build --model_pack=/opt/models/dlib --cache=/tmp/downloads --embedder=dlib --detector=mtcnn \
    && run api_page --api_page=/opt/api-page --cache=/tmp/downloads \
    && rm -rf /tmp/downloads

FROM libraries AS program
COPY facenapi /src/facenapi
RUN /opt/facenapi/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src
COPY docs /src/docs
RUN pip install --no-cache-dir --target /tmp/docs --constraint /src/constraints.txt sphinx furo \
    && PYTHONPATH=/src:/tmp/docs /opt/facenapi/bin/python -m sphinx -b html -q -d /tmp/doctrees /src/docs /guide

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 990 facenapi \
    && useradd --system --uid 990 --gid facenapi --no-create-home --home-dir /var/lib/findface-facenapi facenapi \
    && install -d -o facenapi -g facenapi -m 750 /var/lib/findface-facenapi
COPY --from=libraries /opt/facenapi /opt/facenapi
COPY --from=networks /opt/models /opt/facenapi/models
COPY --from=networks /opt/api-page /opt/facenapi/api-page
COPY conf/findface-facenapi.ini /etc/findface-facenapi.ini
COPY --from=program /guide /opt/facenapi/share/doc/facenapi/guide
COPY --from=program /wheels /wheels
RUN /opt/facenapi/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl
ENV PATH=/opt/facenapi/bin:$PATH \
    FACENAPI_DATA_DIR=/var/lib/findface-facenapi \
    FACENAPI_HOST=0.0.0.0 \
    FACENAPI_MODEL_PACK=/opt/facenapi/models/default \
    FACENAPI_API_PAGE=/opt/facenapi/api-page
# Which part of the installation this container is asked for: its own port.
ENV FACENAPI_HEALTH=http://127.0.0.1:8000/health/live
USER facenapi
WORKDIR /var/lib/findface-facenapi
VOLUME /var/lib/findface-facenapi
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without the proxies that Docker puts into the environment of containers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(os.environ['FACENAPI_HEALTH'], timeout=4)"]
ENTRYPOINT ["facenapi"]
CMD ["serve"]
