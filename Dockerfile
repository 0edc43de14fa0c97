# Builds with BuildKit and with the classic builder. PYTHON_IMAGE can be any Debian image with
# Python >= 3.11 and its venv module.
ARG PYTHON_IMAGE=python:3.13.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
WORKDIR /build
# Two virtual environments: `tools` has pip and setuptools for the build, /opt/game-api is shipped.
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/game-api
COPY requirements/build.txt requirements/base.txt requirements/
RUN tools/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && tools/bin/pip --python /opt/game-api/bin/python install --no-cache-dir --only-binary :all: \
        --require-hashes -r requirements/base.txt

FROM dependencies AS build
COPY pyproject.toml LICENSE ./
COPY src/game_api src/game_api
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && tools/bin/pip --python /opt/game-api/bin/python install --no-deps --no-index \
        --prefix /build/service dist/*.whl

# checkov:skip=CKV_DOCKER_7:PYTHON_IMAGE has an exact tag, see above
FROM ${PYTHON_IMAGE}
# The service does not need the base image's pip. The official images contain no bytecode of the
# standard library, and at run time nothing can write it, so every start would compile it again.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip \
        /usr/local/lib/python3.*/site-packages/* /usr/share/python-wheels \
    && python3 -c "import compileall, sysconfig as s; compileall.compile_dir(s.get_path('stdlib'), quiet=2)"
# DocumentDB's certificate authorities, at the default path of GAME_API_DOCUMENTDB_CA_FILE.
ARG CA_BUNDLE=certificates/global-bundle.pem
COPY ${CA_BUNDLE} /etc/ssl/certs/global-bundle.pem
COPY --from=dependencies /opt/game-api /opt/game-api

# Layers that change with each build come last. A node that has the previous image then pulls less
# than a megabyte.
COPY --from=build /build/service /opt/game-api
ARG COMMIT=unknown
ARG SOURCE=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="game-api" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.revision="${COMMIT}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.version="${VERSION}"
ENV GAME_API_COMMIT="${COMMIT}" \
    GAME_API_HOST=0.0.0.0 \
    PATH=/opt/game-api/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A numeric ID, so that Kubernetes can verify that the user is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('GAME_API_PORT', 8000)}/health\", timeout=2)"]
ENTRYPOINT ["game-api"]
