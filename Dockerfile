# CPU:  docker build -t mri_tf .
# GPU:  docker build -t mri_tf:gpu --build-arg LOCK=requirements-gpu.lock .
# Page: the same with LOCK=requirements-serve.lock, or docker compose --profile page up
# Run:  mkdir -p mri && docker run --user "$(id -u):$(id -g)" -v "$PWD/mri:/mri" \
#           mri_tf train --task cardiac_levels    (GPU: --gpus all, mri_tf:gpu)
FROM python:3.12.12-slim-bookworm

ARG LOCK=requirements.lock
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MPLCONFIGDIR=/tmp/matplotlib

WORKDIR /app
COPY requirements.lock requirements-gpu.lock requirements-serve.lock ./
RUN python -m pip install --require-hashes -r "$LOCK"
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY mri_tf mri_tf
COPY data_prep data_prep
COPY tuning tuning
RUN python -m pip install --no-deps --no-build-isolation .

# Data, runs and exported models are written under /mri, by a user without special rights.
RUN useradd --create-home --uid 10001 mri && mkdir /mri && chown mri /mri
USER 10001
WORKDIR /mri
ENTRYPOINT ["mri-tf"]
CMD ["--help"]
