#!/usr/bin/env bash
# Starts a development server of Temporal, and the worker under `dragons run`. PYTHON is a Python with temporalio, TEMPORAL_CLI
# the program `temporal`.
source "$(dirname "$0")/../log.sh"
export PYTHONPATH="$repository/sdk/python/src"
begin
become booking-worker "$here" run:python3 'run:@any/*' write:ledger/rent

port="$("${PYTHON:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
exec {server_says}< <(exec "${TEMPORAL_CLI:-temporal}" server start-dev --headless --port "$port" 2>"$folder/temporal.log")
speaker="$!"
# It says where it listens when it does.
while read -r line <&"$server_says" && [[ "$line" != Metrics:* ]]; do :; done

run 'book what the workflows ask for' --any-program -- "${PYTHON:-python3}" worker.py "127.0.0.1:$port" 2>"$folder/worker.log"
leave
verify
