# llmspell on NVIDIA cards: GGUF models by llama.cpp's own server for CUDA, safetensors models by PyTorch. Both are of
# CUDA 13, so the machine's driver has to be 580 or newer. From the repository's root:
#
#   docker build -f docker/cuda.Dockerfile -t llmspell:cuda .
#
# Another build of llama.cpp: --build-arg LLAMA_SERVER=ghcr.io/ggml-org/llama.cpp:server-cuda12-b9603, and
# --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 for the PyTorch that goes with it.

ARG LLAMA_SERVER=ghcr.io/ggml-org/llama.cpp:server-cuda13-b9445

# hadolint ignore=DL3006
FROM ${LLAMA_SERVER} AS python
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Ubuntu's own Python; its versions are those of the image's release.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*

FROM python AS build
ARG TORCH_INDEX=https://pypi.org/simple
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY llmspell llmspell
COPY llmspell_cli llmspell_cli
COPY llmspell_kernel llmspell_kernel
COPY llmspell_providers llmspell_providers
COPY llmspell_rag llmspell_rag
COPY llmspell_tools llmspell_tools
COPY llmspell_storage llmspell_storage
COPY profiles profiles
COPY protocol protocol
RUN python3 -m venv /opt/llmspell \
  && /opt/llmspell/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple \
    -c constraints.txt torch \
  && /opt/llmspell/bin/pip install --no-cache-dir -c constraints.txt '.[mcp,rag,tools,torch]'

FROM python AS llmspell
# Images of Ubuntu have a user 1000 already.
RUN userdel --remove ubuntu \
  && useradd --uid 1000 --create-home --shell /usr/sbin/nologin llmspell \
  && install -d -m 0700 -o llmspell -g llmspell /data /run/llmspell \
  && install -d -o llmspell -g llmspell /work
COPY --from=build /opt/llmspell /opt/llmspell
ENV PATH=/opt/llmspell/bin:/usr/local/bin:/usr/bin:/bin \
    LLMSPELL_HOME=/data \
    XDG_RUNTIME_DIR=/run/llmspell \
    LLMSPELL_CLI__AUTOSTART=never \
    LLMSPELL_PROVIDERS__CANDLE__ENGINE=llama-server \
    LLMSPELL_PROVIDERS__CANDLE__SERVER_PATH=/app/llama-server \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
VOLUME ["/data"]
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s --retries=3 \
  CMD ["llmspell", "--connect", "auto", "kernel", "status"]
ENTRYPOINT ["llmspell"]
CMD ["kernel", "start", "--id", "main", "--transport", "ipc", "--idle-timeout", "0"]
