#!/bin/sh
# Reports, as the application exampleApplication, that it cannot deliver a source.
# Usage: report-error.sh INTERNAL_URL KEY EXPORT SOURCE, the last two as in the request event
set -eu

curl --silent --show-error --fail-with-body "$1/app/export/v1/$3/exampleApplication/$4/error" \
  --header "x-rh-exports-psk: $2" --data '{"message": "no such resource", "error": 404}'
