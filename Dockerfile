# Portcullis as an image of one binary, the libraries that it links, and root certificates. No shell, no package manager,
# not root; everything the portal writes lies in /data. Build: docker build -t portcullis .

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked && docs/deploy/image-root.sh target/release/portcullis /image

FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
# From here the defaults of DATABASE_URL and FILES_DIR lie in /data.
WORKDIR /
ENV HOST=0.0.0.0 PORT=8000 LOG_FORMAT=json
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/portcullis", "health"]
ENTRYPOINT ["/portcullis"]
