#!/usr/bin/env bash
# Puts every client, and MinIO, under REAL_HOME, from packages only. What is there already is not installed again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${REAL_HOME:?}"
mkdir -p "$REAL_HOME/bin"
exec 9>"$REAL_HOME/install.lock"
flock 9

fail() {
  echo "FAIL  install: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

# A stamp holds what was installed: another version of a list of packages installs anew.
current() { [ -e "$2" ] && cmp -s "$1" "$REAL_HOME/$(basename "$1").done"; }
stamp() { cp "$1" "$REAL_HOME/$(basename "$1").done"; }

# The same for the programs around clients, which are built from a folder into another.
sums() { (cd "$here/clients/$1" && find . -type f | sort | xargs sha256sum); }
built() { [ "$(sums "$1")" = "$(cat "$REAL_HOME/clients/$1/done" 2>/dev/null)" ]; }
build() {
  local name=$1 to=$REAL_HOME/clients/$1
  shift
  rm -rf "$to" && mkdir -p "$to"
  (cd "$here/clients/$name" && "$@" "$to") >&2 || fail "the program around $name, with $1"
  sums "$name" >"$to/done"
}

distribution() {
  local packages=()
  command -v kcat >/dev/null || packages+=(kcat)
  command -v zstd >/dev/null || packages+=(zstd)
  command -v javac >/dev/null || packages+=(default-jdk-headless)
  command -v mvn >/dev/null || packages+=(maven)
  command -v npm >/dev/null || packages+=(nodejs npm)
  python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
  [ ${#packages[@]} -eq 0 ] && return
  apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null ||
    fail "apt-get install ${packages[*]}"
}

python_clients() {
  local list=$here/requirements.txt py=$REAL_HOME/py
  current "$list" "$py/bin/python" && return
  rm -rf "$py"
  # uv: plain pip takes minutes to resolve these.
  python3 -m venv "$py" && "$py/bin/pip" install -q --disable-pip-version-check uv &&
    "$py/bin/uv" pip install -q --python "$py/bin/python" -r "$list" || fail "the Python clients of requirements.txt"
  stamp "$list"
}

kafka_tools() {
  local pom=$here/kafka-pom.xml
  current "$pom" "$REAL_HOME/kafka" && return
  rm -rf "$REAL_HOME/kafka"
  mvn -q -B -f "$pom" dependency:copy-dependencies "-DoutputDirectory=$REAL_HOME/kafka" >&2 ||
    fail "Kafka's own tools, with Maven, from kafka-pom.xml"
  stamp "$pom"
}

kafkajs() { cp ./* "$1" && cd "$1" && npm install --silent --no-audit --no-fund --no-package-lock; }

go_clients() { go build -o "$1/" ./franz ./sarama; }

# A program of Java with packages of its own, which stay beside it.
with_maven() { mvn -q -B dependency:copy-dependencies "-DoutputDirectory=$1/jars" && javac -cp "$1/jars/*" -d "$1" ./*.java; }

# A program of Java that uses Kafka's packages.
with_kafka() { javac -cp "$REAL_HOME/kafka/*" -d "$1" ./*.java; }

programs() {
  built kafkajs || build kafkajs kafkajs
  built go || build go go_clients
  built java || build java with_kafka
  built relay || build relay with_kafka
  built streams || build streams with_maven
  built samza || build samza with_maven
}

minio() {
  # The last public commit; release tags are refused by the module proxy.
  local version=v0.0.0-20260212201848-7aac2a2c5b7c
  [ -x "$REAL_HOME/bin/minio-$version" ] && return
  command -v go >/dev/null || fail "MinIO is built with Go 1.24 or later, and there is no go on the PATH"
  GOBIN=$REAL_HOME/bin GOFLAGS=-mod=mod go install "github.com/minio/minio@$version" >&2 || fail "MinIO, with go install"
  mv "$REAL_HOME/bin/minio" "$REAL_HOME/bin/minio-$version"
  ln -sf "minio-$version" "$REAL_HOME/bin/minio"
}

distribution
python_clients
kafka_tools
programs
minio
