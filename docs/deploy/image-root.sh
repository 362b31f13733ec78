#!/bin/sh
# Lays out the image's files: image-root.sh BINARY FOLDER. Kept apart from the Dockerfile so that a test can run it.
set -eu
binary=$1
root=$2
mkdir -p "$root/etc/ssl/certs" "$root/data/files" "$root/tmp"
cp "$binary" "$root/portcullis"
# The loader and the libraries that the binary names, at the places where it looks for them.
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'portcullis:x:65532:65532::/data:/nonexistent' >"$root/etc/passwd"
echo 'portcullis:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chown -R 65532:65532 "$root/data" 2>/dev/null || echo "image-root.sh: not root, so /data keeps its owner" >&2
