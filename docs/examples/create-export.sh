#!/bin/sh
# Asks for an export of two sources with filters, and prints the answer.
# Usage: create-export.sh PUBLIC_URL USERNAME, for instance create-export.sh http://127.0.0.1:8080 jdoe
set -eu

# In production the gateway sets this header; clients cannot.
identity=$(printf '{"identity":{"org_id":"1","type":"User","user":{"username":"%s"}}}' "$2" | base64 | tr -d '\n')

curl --silent --show-error --fail-with-body "$1/api/export/v1/exports" --header "x-rh-identity: $identity" --data '{
  "name": "Nightly", "format": "json",
  "sources": [
    {"application": "exampleApplication", "resource": "exampleResource", "filters": {"since": "2026-01-01"}},
    {"application": "exampleApplication", "resource": "anotherExampleResource", "filters": {"names": ["a", "b"]}}]}'
