# facenapi as a container, with its default model pack in it, and that of dlib which was the default before.
#
#   docker build -t facenapi .                          for the CPU
#   docker build -t facenapi:gpu --build-arg EXTRA=cuda .   for an NVIDIA GPU (docker run --gpus all …)
#
#   docker run -d -p 127.0.0.1:8000:8000 -v facenapi:/var/lib/findface-facenapi --name facenapi facenapi
#   docker exec facenapi facenapi token
#
# Data lives in the volume. Options follow the image's name: facenapi serve --host=0.0.0.0 …

ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG EXTRA=cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/facenapi
COPY setup.cfg constraints.txt pyproject.toml MANIFEST.in README.rst LICENSE /src/
COPY facenapi /src/facenapi
COPY scripts/notices /src/scripts/notices
RUN /opt/facenapi/bin/pip install --no-cache-dir --constraint /src/constraints.txt "/src[${EXTRA},models,heif]" \
    && /opt/facenapi/bin/python /src/scripts/notices >/opt/facenapi/NOTICES.txt
# For the processor that builds the image; NMSLIB=wheel keeps the published one, for an image that goes elsewhere.
ARG NMSLIB=native
COPY scripts/build_nmslib /src/scripts/
RUN if [ "$NMSLIB" = native ]; then /src/scripts/build_nmslib /opt/facenapi/bin/python \
        || echo "NMSLIB stays the published one, which is slower"; fi
# The second is for faces that were stored with it, while facenapi regenerate moves them or for good.
RUN /opt/facenapi/bin/facenapi models build --model_pack=/opt/facenapi/models/default --cache=/tmp/downloads \
    && /opt/facenapi/bin/facenapi models build --model_pack=/opt/facenapi/models/dlib --cache=/tmp/downloads \
        --embedder=dlib --detector=mtcnn \
    && rm -rf /tmp/downloads

FROM python:${PYTHON}-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 990 facenapi \
    && useradd --system --uid 990 --gid facenapi --no-create-home --home-dir /var/lib/findface-facenapi facenapi \
    && install -d -o facenapi -g facenapi -m 750 /var/lib/findface-facenapi
COPY --from=build /opt/facenapi /opt/facenapi
COPY conf/findface-facenapi.ini /etc/findface-facenapi.ini
ENV PATH=/opt/facenapi/bin:$PATH
# Which part of the installation this container is asked for: its own port.
ENV FACENAPI_HEALTH=http://127.0.0.1:8000/health/live
USER facenapi
WORKDIR /var/lib/findface-facenapi
VOLUME /var/lib/findface-facenapi
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ['FACENAPI_HEALTH'], timeout=4)"]
ENTRYPOINT ["facenapi"]
CMD ["serve", "--config=/etc/findface-facenapi.ini", "--host=0.0.0.0", "--model_pack=/opt/facenapi/models/default"]
