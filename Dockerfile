# syntax=docker/dockerfile:1

# The server alone, on its embedded parts: no other service is needed. It listens on every address of the container,
# so it asks for a token: docker run -e ACCESS_TOKEN=… -p 127.0.0.1:8000:8000 -v daedap-data:/app/data daedap

ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==0.13.8
WORKDIR /app
# What the server needs changes rarely: a layer of its own, before the code.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY backend backend
COPY migration migration
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-editable

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="Daedap" \
      org.opencontainers.image.description="An open LangGraph agent server with its own knowledge" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 daedap \
    && useradd --system --uid 10001 --gid daedap --home-dir /app --no-create-home --shell /usr/sbin/nologin daedap \
    && install --directory --owner=daedap --group=daedap --mode=0750 /app/data /app/logs
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
ENV PATH="/app/.venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    AUTH_MODE=token \
    DATA_DIR=/app/data \
    LOG_FORMAT=json
USER 10001:10001
VOLUME ["/app/data", "/app/logs"]
EXPOSE 8000
# SIGTERM drains: runs get DRAIN_SECONDS to end, what is left is resumed by the next start. Give `docker stop` longer.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/ready', timeout=4)"]
CMD ["python", "-m", "backend.main"]
