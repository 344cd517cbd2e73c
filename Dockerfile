# One image for every part: `integration-service serve` runs all of them, `serve registry` one.
#
# The network is used while building only; what is fetched is checked against hashes.

FROM python:3.11-slim AS tools
ENV UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY requirements-uv.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.lock

# The run-time dependencies, as wheels: nothing is compiled, so no compiler is needed.
FROM tools AS dependencies
COPY requirements-runtime.lock ./
RUN uv venv /opt/venv \
 && uv pip sync --python /opt/venv/bin/python --require-hashes --only-binary :all: --compile-bytecode \
      requirements-runtime.lock

# The JavaScript sandbox: QuickJS-NG as WebAssembly. Its compiler stays in this stage.
FROM tools AS guest
COPY --from=dependencies /opt/venv /opt/venv
COPY transformer ./transformer
RUN PYTHONPATH="$(echo /opt/venv/lib/python3.*/site-packages)" \
      python -m transformer.guest.build --cache /tmp/guest

# The application, beside its engine.
FROM dependencies AS application
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY protos ./protos
COPY registry ./registry
COPY credentials ./credentials
COPY transformer ./transformer
COPY executor ./executor
COPY services ./services
COPY --from=guest /app/transformer/guest/guest.wasm ./transformer/guest/guest.wasm
RUN uv pip install --python /opt/venv/bin/python --no-deps --build-constraints requirements.lock --editable . \
 && rm -rf build requirements.lock \
 && python -m compileall -q .

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin integration \
 && install --directory --owner=integration --group=integration --mode=0700 /data /keys /cache
COPY --from=application /opt/venv /opt/venv
COPY --from=application /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    INTEGRATION_CACHE_DIR=/cache \
    INTEGRATION_DATA_DIR=/data
USER 10001:10001
# The engine's machine code, so that a container starts as quickly the first time as ever after.
# This fails the build when the engine is missing.
RUN python -m transformer.engines /cache
VOLUME /data
EXPOSE 8080 50051
ENTRYPOINT ["integration-service"]
CMD ["serve"]
