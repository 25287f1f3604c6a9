# PromptForge for production: the same image serves, works, keeps the schedule and migrates (see compose.yaml).
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.txt
COPY . .
# Static files get their final names here. The values only satisfy the checks for production; none of them stays.
RUN PROMPTFORGE_ENV=production PROMPTFORGE_VAR=/tmp/var PROMPTFORGE_ALLOWED_HOSTS=build.invalid \
    PROMPTFORGE_SECRET_KEY=only-for-collecting-the-static-files-in-this-layer \
    /opt/venv/bin/python manage.py collectstatic --no-input \
    && /opt/venv/bin/python -m compileall -q /app

FROM python:3.13-slim
# /data is what changes at run time: mount a volume there, or a folder of the host that user 10001 may write.
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin promptforge \
    && mkdir /data && chown promptforge: /data
COPY --from=build /opt/venv /opt/venv
# Owned by root: the application cannot change its own code or its static files.
COPY --from=build /app /app
WORKDIR /app
USER promptforge
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PROMPTFORGE_ENV=production \
    PROMPTFORGE_VAR=/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "/app/deploy/healthcheck.py"]
# WEB_CONCURRENCY sets the number of processes; one per core serves best.
CMD ["sh", "-c", "exec granian --interface asginl --host 0.0.0.0 --port 8000 --workers ${WEB_CONCURRENCY:-2} --log-config deploy/web-logging.json --no-ws --respawn-failed-workers --workers-kill-timeout 20 promptforge.asgi:application"]
