# An image with the binary and nothing else: `docker build --tag jqlite .`, and docs/operations.md tells how to run it.

FROM rust:1-slim-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq musl-tools binutils
WORKDIR /jqlite
COPY . .
RUN cp "$(packaging/build-static)" /usr/local/bin/jqlite && mkdir --mode 700 /data

FROM scratch
COPY --from=build /usr/local/bin/jqlite /jqlite
# There is no /etc/passwd, so the user is a number; a new volume takes its owner from this folder.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV JQLITE_DB=/data/jqlite.db
# Names of files in commands, such as that of a backup, are names in the volume.
WORKDIR /data
VOLUME /data
EXPOSE 5750
# No shell and no curl either, so it asks itself.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/jqlite", "healthcheck"]
ENTRYPOINT ["/jqlite"]
# All addresses, those of the container: whom it listens to outside is up to `docker run --publish`.
CMD ["serve", "--listen", "0.0.0.0:5750"]
