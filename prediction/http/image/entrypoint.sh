#!/bin/sh
# The image's entrance: without arguments it runs `serve`; any other command runs as it is.
set -eu

if ! [ -w "$BENTOML_HOME" ]; then
  echo "BENTOML_HOME: $BENTOML_HOME can't be written to by user $(id -u): give it to that user, as by chown $(id -u):$(id -g)" >&2
  exit 1
fi
case "${1:-serve}" in
  serve) shift $(($# > 0)) ;;
  -*) ;;
  *) exec "$@" ;;
esac
exec bentoml serve "$@" "$BENTO_PATH"
